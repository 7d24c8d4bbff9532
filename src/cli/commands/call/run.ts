import { createReadStream, createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { FilesError, UsageError } from '../../../errors.js'
import { endpoints, isEndpoint } from '../../../gateway/endpoint-url.js'
import type { RequestInit, StreamedAnswer } from '../../../gateway/gateway.js'
import { stripControl } from '../../../redaction.js'
import type { Context } from '../../context.js'
import type { Output, OutputOptions } from '../../output/output.js'
import { layOutJson } from '../../output/json-layout.js'
import { createProgressRenderer } from '../../output/progress-renderer.js'
import { namedProfile, type NetworkOptions, routeChoice } from '../../route-choice.js'

/** Bytes of a JSON body that is laid out for a terminal, and of any body that an error message is taken from. */
const prettyAtMost = 1024 * 1024
const keptForError = 64 * 1024

/** The flags of the command, as they are given. */
export interface CallOptions extends NetworkOptions, OutputOptions {
  readonly profile?: string
  readonly method?: string
  readonly data?: string
  readonly header?: readonly string[]
  readonly include?: true
  readonly output?: string
}

export async function runCall(endpoint: string, path: string, options: CallOptions, context: Context): Promise<void> {
  if (!isEndpoint(endpoint)) {
    throw new UsageError(`there is no endpoint ${JSON.stringify(endpoint.slice(0, 40))}`, {
      hints: [`choose one of ${Object.keys(endpoints).join(', ')}`],
    })
  }
  const { kyconnect } = context
  const choice = await routeChoice(options, context)
  const progress = await createProgressRenderer(
    { json: options.json === true, verbose: options.verbose === true },
    context,
  )
  const headers = parseHeaders(options.header ?? [])
  const method = parseMethod(options)
  const identity = await kyconnect.identity(namedProfile(options.profile, context))
  if (choice.insecure) progress.emit({ type: 'warning', warning: 'insecure' })
  if (identity.metadata.insecure) progress.emit({ type: 'warning', warning: 'paired-insecurely' })
  const run = { choice, emit: progress.emit, trace: progress.trace }
  const body = options.data === undefined ? {} : await readBody(options.data, context)
  const gateway = kyconnect.openGateway(identity, run)
  try {
    const answer = await gateway.fetch(endpoint, path, {
      method,
      ...body,
      headers: {
        ...(options.data === undefined ? {} : { 'content-type': 'application/json' }),
        ...body.headers,
        ...headers,
      },
    })
    const beginning = await writeAnswer(answer, options, context)
    if (answer.notFollowed !== undefined) throw answer.notFollowed
    if (answer.status >= 300) {
      throw kyconnect.refusal({ ...answer, body: beginning }, `${method} ${answer.url.pathname}`, identity, run)
    }
  } finally {
    await gateway.close()
  }
}

/** @returns the beginning of the body, for an error's words */
async function writeAnswer(answer: StreamedAnswer, options: CallOptions, context: Context): Promise<string> {
  const target = options.output === undefined ? endless(context.stdout) : openFile(options.output)
  try {
    if (options.include === true) await target.write(headLines(answer, target.isTerminal))
    return await (target.isTerminal ? writeLaidOut(answer, target) : writeAsItIs(answer, target))
  } finally {
    await target.end()
  }
}

async function writeAsItIs(answer: StreamedAnswer, target: Target): Promise<string> {
  const kept: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body) {
    if (size < keptForError) kept.push(chunk)
    size += chunk.length
    await target.write(chunk)
  }
  return Buffer.concat(kept).toString('utf8')
}

/** For a person: JSON laid out when it is not too large for that, and no control characters. */
async function writeLaidOut(answer: StreamedAnswer, target: Target): Promise<string> {
  const kept: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body) {
    const before = size
    size += chunk.length
    if (size <= prettyAtMost) kept.push(chunk)
    else {
      if (before <= prettyAtMost) await target.write(stripControl(Buffer.concat(kept).toString('utf8')))
      await target.write(stripControl(Buffer.from(chunk).toString('utf8')))
    }
  }
  const text = Buffer.concat(kept).toString('utf8')
  if (size <= prettyAtMost) await target.write(pretty(text))
  return text
}

/** For a person: JSON laid out, anything else without control characters, and a newline at the end. */
function pretty(text: string): string {
  let shown = stripControl(text)
  try {
    JSON.parse(text)
    shown = stripControl(layOutJson(text))
  } catch {
    // Not JSON: shown as it came.
  }
  return shown === '' || shown.endsWith('\n') ? shown : `${shown}\n`
}

function headLines({ status, headers }: StreamedAnswer, isTerminal: boolean): string {
  const lines = [`HTTP/1.1 ${status}`]
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value ?? []].flat()) lines.push(`${name}: ${isTerminal ? stripControl(one) : one}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

type Target = Omit<Output, 'stream'> & { end(): Promise<void> }

/** Standard output stays open: it is not ours to close. */
function endless(output: Output): Target {
  return { isTerminal: output.isTerminal, write: (text) => output.write(text), end: () => Promise.resolve() }
}

function openFile(path: string): Target {
  const file = createWriteStream(path)
  const failure = (cause: unknown): FilesError =>
    new FilesError(`${JSON.stringify(path)} could not be written`, {
      cause,
      hints: ['check the path, its permissions and the space left'],
    })
  const ended = finished(file).catch((cause: unknown) => {
    throw failure(cause)
  })
  ended.catch(() => undefined)
  return {
    isTerminal: false,
    write: (text) =>
      new Promise((resolve, reject) => {
        file.write(text, (cause) => {
          if (cause) reject(failure(cause))
          else resolve()
        })
      }),
    end: async () => {
      file.end()
      await ended
    },
  }
}

function parseMethod({ method, data }: CallOptions): string {
  if (method === undefined) return data === undefined ? 'GET' : 'POST'
  // CONNECT opens a tunnel: no answer of it could be shown.
  if (/^(?!connect$)[A-Za-z]{1,20}$/i.test(method)) return method.toUpperCase()
  throw new UsageError(`--method takes an HTTP method, not ${JSON.stringify(method.slice(0, 40))}`)
}

/** What names the host, or frames the body, is not the user's to set: the request must stay the one that is shown. */
const ownHeaders = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'upgrade',
  'expect',
  'te',
  'trailer',
])

function parseHeaders(texts: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const text of texts) {
    const [, name, value] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(text) ?? []
    if (name === undefined || value === undefined) {
      throw new UsageError('--header takes "name: value"', { hints: ["for instance -H 'x-request-id: 42'"] })
    }
    if (ownHeaders.has(name.toLowerCase())) throw new UsageError(`--header: ${name} cannot be set`)
    headers[name.toLowerCase()] = value
  }
  return headers
}

type Body = Pick<RequestInit, 'body'> & { readonly headers?: Readonly<Record<string, string>> }

/** The body: the text itself, or a file or standard input, handed on as it is read. */
async function readBody(data: string, { stdin }: Context): Promise<Body> {
  if (!data.startsWith('@')) return { body: data }
  if (data === '@-') return { body: stdin.stream() }
  const path = data.slice(1)
  const failure = (cause: unknown): FilesError =>
    new FilesError(`--data: ${JSON.stringify(path)} cannot be read`, {
      cause,
      hints: ['check the path and its permissions'],
    })
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw new Error('is a folder')
    const body = createReadStream(path)
    await new Promise((resolve, reject) => body.once('open', resolve).once('error', reject))
    return { body, headers: found.isFile() ? { 'content-length': String(found.size) } : {} }
  } catch (cause) {
    throw failure(cause)
  }
}
