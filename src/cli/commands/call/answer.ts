import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { StringDecoder } from 'node:string_decoder'
import { FilesError } from '../../../errors.js'
import type { StreamedAnswer } from '../../../gateway/gateway.js'
import { stripControl } from '../../../redaction.js'
import type { Context } from '../../context.js'
import { indentJson } from '../../output/json-layout.js'
import type { Output } from '../../output/output.js'

/** The largest JSON body that is indented for a terminal. */
const maxIndentedBytes = 1024 * 1024
/** How much of a body is kept for an error message. */
const maxErrorBytes = 64 * 1024

/** Opens where the answer goes, before anything is sent: a request must not succeed and its answer have no place. @throws FilesError */
export async function openTarget(file: string | undefined, { stdout }: Pick<Context, 'stdout'>): Promise<Target> {
  return file === undefined ? standardOutput(stdout) : openFile(file)
}

/**
 * Writes an answer to stdout, or to a file. A pipe and a file get the bytes unchanged; a terminal gets JSON indented, and
 * neither control nor bidi characters.
 * @returns the beginning of the body, for an error message
 */
export async function writeAnswer(answer: StreamedAnswer, target: Target, include: boolean): Promise<string> {
  try {
    if (include) await target.write(headLines(answer, target.isTerminal))
    return await (target.isTerminal ? writeForPerson(answer, target) : writeUnchanged(answer, target))
  } finally {
    await target.end()
  }
}

async function writeUnchanged(answer: StreamedAnswer, target: Target): Promise<string> {
  const kept: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body) {
    if (size < maxErrorBytes) kept.push(chunk)
    size += chunk.length
    await target.write(chunk)
  }
  return Buffer.concat(kept).toString('utf8')
}

async function writeForPerson(answer: StreamedAnswer, target: Target): Promise<string> {
  // A character may be split between two chunks.
  const decoder = new StringDecoder('utf8')
  let kept = ''
  let size = 0
  for await (const chunk of answer.body) {
    const before = size
    size += chunk.length
    const text = decoder.write(Buffer.from(chunk))
    if (size <= maxIndentedBytes) {
      kept += text
      continue
    }
    if (before <= maxIndentedBytes) await target.write(stripControl(kept))
    await target.write(stripControl(text))
  }
  if (size > maxIndentedBytes) await target.write(stripControl(decoder.end()))
  else {
    kept += decoder.end()
    await target.write(formatForPerson(kept))
  }
  return kept
}

/** Indents JSON; removes control and bidi characters, and adds a line break at the end. */
function formatForPerson(text: string): string {
  const shown = stripControl(isJson(text) ? indentJson(text) : text)
  return shown === '' || shown.endsWith('\n') ? shown : `${shown}\n`
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function headLines({ status, headers }: StreamedAnswer, isTerminal: boolean): string {
  const lines = [`HTTP/1.1 ${status}`]
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value ?? []].flat()) lines.push(`${name}: ${isTerminal ? stripControl(one) : one}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

export type Target = Pick<Output, 'isTerminal' | 'write'> & { end(): Promise<void> }

/** Standard output stays open at the end. */
function standardOutput(output: Output): Target {
  return { isTerminal: output.isTerminal, write: (text) => output.write(text), end: () => Promise.resolve() }
}

async function openFile(path: string): Promise<Target> {
  const file = createWriteStream(path)
  const failure = (cause: unknown): FilesError =>
    new FilesError(`${JSON.stringify(path)} cannot be written`, {
      cause,
      hints: ['check the path, its permissions and the space left'],
    })
  const ended = finished(file).catch((cause: unknown) => {
    throw failure(cause)
  })
  ended.catch(() => undefined)
  await Promise.race([once(file, 'open'), ended])
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
