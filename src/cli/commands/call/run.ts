import { UsageError } from '../../../errors.js'
import { shellWord } from '../../../shell-word.js'
import type { Context } from '../../context.js'
import { warnOfExpiry } from '../../output/identity-report.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer } from '../../output/progress-renderer.js'
import { namedProfile, type NetworkOptions, routeChoice } from '../../route-choice.js'
import { openTarget, writeAnswer } from './answer.js'
import { readBody } from './body.js'
import { endpointOfUrl, type EndpointPath, isUrl, parseEndpoint } from './endpoint.js'

/** The flags of the command, as they are given. */
export interface CallOptions extends NetworkOptions, OutputOptions {
  readonly profile?: string
  readonly method?: string
  readonly data?: string
  readonly header?: readonly string[]
  readonly include?: true
  readonly output?: string
  readonly allowStarred?: true
}

/** @param target the name of an endpoint, or a full URL of the App */
export async function runCall(target: string, path: string, options: CallOptions, context: Context): Promise<void> {
  const named = isUrl(target) ? undefined : { endpoint: parseEndpoint(target), path }
  if (named === undefined && path !== '') {
    throw new UsageError('a path cannot follow a full URL', { hints: ['append the path to the URL'] })
  }
  if (named !== undefined) checkPath(named)
  const { kyconnect } = context
  const choice = await routeChoice(options, context)
  const progress = await createProgressRenderer(
    { json: options.json === true, verbose: options.verbose === true },
    context,
  )
  const headers = parseHeaders(options.header ?? [])
  const method = parseMethod(options)
  checkOutput(options.output)
  if (named !== undefined) checkEvent(named, options)
  const identity = await kyconnect.identity(namedProfile(options.profile, context))
  const run = { choice, emit: progress.emit, trace: progress.trace }
  const { endpoint, path: pathBelow } =
    named ?? endpointOfUrl(target, identity, kyconnect.called(identity, run).calledUrls)
  if (named === undefined) checkEvent({ endpoint, path: pathBelow }, options)
  if (choice.insecure) progress.emit({ type: 'warning', warning: 'insecure' })
  if (identity.metadata.insecure) progress.emit({ type: 'warning', warning: 'paired-insecurely' })
  warnOfExpiry(identity, context.runtime.now(), progress.emit)
  const use = { endpoint, method, allowStarred: options.allowStarred === true }
  const body = options.data === undefined ? {} : await readBody(options.data, use, context)
  const output = await openTarget(options.output, context)
  const gateway = kyconnect.openGateway(identity, run)
  try {
    const answer = await gateway.fetch(endpoint, pathBelow, {
      method,
      ...body,
      headers: {
        ...(options.data === undefined ? {} : { 'content-type': 'application/json' }),
        ...body.headers,
        ...headers,
      },
    })
    const beginning = await writeAnswer(answer, output, options.include === true)
    if (answer.notFollowed !== undefined) throw answer.notFollowed
    if (answer.status >= 300) {
      throw kyconnect.refusal({ ...answer, body: beginning }, `${method} ${answer.url.pathname}`, identity)
    }
  } finally {
    await gateway.close()
  }
}

/** Refuses a body in the place of the path: it would become part of the URL. @throws UsageError */
function checkPath({ endpoint, path }: EndpointPath): void {
  if (!/^\s*[@{[]/.test(path)) return
  const isFile = path.startsWith('@')
  throw new UsageError('a body was given as the path: --data is missing', {
    hints: [
      `send it with -d: kyconnect call ${endpoint} -d ${isFile ? shellWord(path.slice(0, 200)) : "'<json>'"}`,
      ...(isFile
        ? [
            `for a path that begins with "@", begin with "/": kyconnect call ${endpoint} ${shellWord(`/${path.slice(0, 200)}`)}`,
          ]
        : []),
    ],
  })
}

/** The names that other tools take after -o, for a format. */
const formatNames = new Set(['json', 'yaml', 'table', 'wide'])

/** Refuses the name of a format as the name of a file. @throws UsageError */
function checkOutput(output: string | undefined): void {
  if (output === undefined || !formatNames.has(output.toLowerCase())) return
  throw new UsageError(`--output takes the name of a file, not a format such as ${output}`, {
    hints: [
      'leave it out to print the answer, which is JSON already; for errors in JSON, too, use --json',
      `to write to a file of that name: -o ./${output}`,
    ],
  })
}

/** Refuses an event without a body: a GET of the endpoint itself returns nothing useful. @throws UsageError */
function checkEvent({ endpoint, path }: EndpointPath, { data, method }: CallOptions): void {
  if (endpoint !== 'events' || data !== undefined || method !== undefined || !/^\/?$/.test(path)) return
  throw new UsageError('an event needs a body: --data is missing', {
    hints: [
      'give it as text, from a file or from standard input (-d @-): kyconnect call events -d @event.json',
      'an event looks like {"event-type": "order.created", "event-type-version": "v1", "event-time": "2026-11-23T20:00:00Z", "data": {"order": 4711}}',
    ],
  })
}

function parseMethod({ method, data }: CallOptions): string {
  if (method === undefined) return data === undefined ? 'GET' : 'POST'
  // CONNECT opens a tunnel, whose answer cannot be shown.
  if (/^(?!connect$)[A-Za-z]{1,20}$/i.test(method)) return method.toUpperCase()
  throw new UsageError(`--method takes an HTTP method, not ${JSON.stringify(method.slice(0, 40))}`)
}

/** Only the client sets the headers that name the host or delimit the body; otherwise the request would differ from the one shown. */
const reservedHeaders = new Set([
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
    const [, name, value] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)$/.exec(text) ?? []
    if (name === undefined || value === undefined) {
      throw new UsageError('--header takes "name: value"', { hints: ["for example: -H 'x-request-id: 42'"] })
    }
    if (reservedHeaders.has(name.toLowerCase())) throw new UsageError(`--header: ${name} cannot be set`)
    headers[name.toLowerCase()] = value.trim()
  }
  return headers
}
