import { RejectedEventsError, UsageError } from '../../../errors.js'
import { EventEncoder } from '../../../events/event-encoder.js'
import type { SenderOptions } from '../../../events/event-sender.js'
import { publishOne } from '../../../events/publish-one.js'
import {
  defaultConcurrency,
  defaultRetryForMs,
  maxConcurrency,
  maxRatePerSecond,
} from '../../../events/sending-limits.js'
import { shortReason } from '../../../events/short-reason.js'
import type { Identity } from '../../../identity/identity.js'
import type { EventSending } from '../../../kyconnect.js'
import type { Emit } from '../../../progress.js'
import { shellWord } from '../../../shell-word.js'
import type { Context } from '../../context.js'
import { readGivenText } from '../../given-file.js'
import { warnOfExpiry } from '../../output/identity-report.js'
import { jsonLine } from '../../output/json-document.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer } from '../../output/progress-renderer.js'
import { readAll } from '../../read-all.js'
import { namedProfile, type NetworkOptions, parseCount, routeChoice } from '../../route-choice.js'
import { publishFile } from './publish-file.js'
import { reportTrouble } from './report-trouble.js'

/** The flags of the command, as they are given. */
export interface PublishOptions extends NetworkOptions, OutputOptions {
  readonly profile?: string
  readonly type?: string
  readonly typeVersion?: string
  readonly data?: string
  readonly id?: string
  readonly time?: string
  readonly file?: string
  readonly checkpoint?: string
  readonly rejects?: string
  readonly maxRejects?: string
  readonly key?: string
  readonly rate?: string
  readonly concurrency?: string
  readonly retryFor?: string
}

export async function runPublish(options: PublishOptions, context: Context): Promise<void> {
  const sending = parseSending(options)
  checkOptions(options)
  const { kyconnect, runtime } = context
  const progress = await createProgressRenderer(
    { json: options.json === true, verbose: options.verbose === true },
    context,
  )
  const choice = await routeChoice(options, context)
  const identity = await kyconnect.identity(namedProfile(options.profile, context))
  if (choice.insecure) progress.emit({ type: 'warning', warning: 'insecure' })
  if (identity.metadata.insecure) progress.emit({ type: 'warning', warning: 'paired-insecurely' })
  // Any other certificate is renewed by the run itself.
  if (identity.metadata.revokedAt !== null) warnOfExpiry(identity, runtime.now(), progress.emit)
  const openSender: SetUp['openSender'] = (emit) =>
    kyconnect.eventSender(identity, { choice, emit, trace: progress.trace })
  const setUp = { identity, openSender, sending, emit: progress.emit }
  if (options.file === undefined) await runOne(options, setUp, context)
  else await publishFile(options.file, options, setUp, context)
}

/** What both forms of the command need. */
export interface SetUp {
  readonly identity: Identity
  readonly openSender: (emit: Emit) => EventSending
  readonly sending: SenderOptions
  readonly emit: Emit
}

async function runOne(
  options: PublishOptions,
  { identity, openSender, sending, emit }: SetUp,
  context: Context,
): Promise<void> {
  const { runtime, stdout } = context
  const data = await readData(options.data ?? '', context)
  if (data.trim() === '') throw new UsageError('--data is empty: an event needs a JSON value other than null and ""')
  const encoder = new EventEncoder({
    source: identity.metadata.commonName,
    seed: runtime.randomHex(16),
    now: runtime.now,
  })
  const event = encoder.encodeParts(
    {
      type: options.type ?? '',
      version: options.typeVersion ?? '',
      time: options.time ?? runtime.now().toISOString(),
      id: options.id ?? '',
      data: Buffer.from(data),
    },
    { type: '--type', version: '--type-version', time: '--time', id: '--id', data: '--data' },
  )
  if (event.kind === 'rejected')
    throw new UsageError(`the event would be rejected: ${event.reason}`, {
      details: { field: event.field, problem: event.problem },
      hints: [
        event.field === '--data' && event.problem === 'not-json' && isPlainText(data)
          ? `write text as a JSON string: --data ${shellWord(JSON.stringify(data))}`
          : 'see kyconnect events publish --help',
      ],
    })
  const sender = openSender(emit)
  const outcome = await publishOne(event, sending, { ...sender.deps, signal: runtime.signal }, reportTrouble(emit))
  if (outcome.kind === 'rejected') {
    throw new RejectedEventsError(`the event was rejected: ${shortReason(outcome.reason)}`, {
      details: { id: event.id, field: outcome.field, status: outcome.status },
      hints: ['correct the event; docs/events.md says what the service checks'],
    })
  }
  if (options.json === true) await stdout.write(jsonLine({ id: event.id, outcome: outcome.kind }))
  else await stdout.write(`${outcome.kind} ${event.id}\n`)
  if (outcome.kind === 'ignored' && options.json !== true)
    await context.stderr.write('note: nothing in the cluster subscribes to this event type\n')
  await sender.settle()
}

async function readData(data: string, context: Context): Promise<string> {
  if (data === '-' || data === '@-') return readAll(context.stdin.stream(), context.runtime.signal)
  if (!data.startsWith('@')) return data
  return readGivenText(data.slice(1), '--data', context)
}

/** Whether data was probably meant as text, and not as an object or a list with a mistake in it. */
function isPlainText(data: string): boolean {
  return data.length <= 80 && /^[^{["\p{Cc}][^\p{Cc}]*$/u.test(data)
}

/** @throws UsageError for flags that cannot be combined, or need each other */
function checkOptions(options: PublishOptions): void {
  const one = [options.type, options.typeVersion, options.data, options.id, options.time]
  const many = [options.checkpoint, options.rejects, options.maxRejects, options.key, options.rate, options.concurrency]
  const has = (flags: readonly (string | undefined)[]): boolean => flags.some((flag) => flag !== undefined)
  if (options.file !== undefined) {
    if (has(one))
      throw new UsageError('--file cannot be combined with the flags for one event', {
        hints: ['give --type, --type-version and --data for one event, or --file for many'],
      })
    if (options.maxRejects !== undefined && options.rejects === undefined)
      throw new UsageError('--max-rejects needs --rejects', { hints: ['add --rejects <file>'] })
    return
  }
  if (has(many))
    throw new UsageError('--checkpoint, --rejects, --max-rejects, --key, --rate and --concurrency are for --file', {
      hints: ['add -f <file>, or leave them out'],
    })
  if (options.type === undefined || options.typeVersion === undefined || options.data === undefined)
    throw new UsageError('an event needs --type, --type-version and --data', {
      hints: [
        `for example: kyconnect events publish --type order.created --type-version v1 --data '{"order":4711}'`,
        'or publish a file with one event on each line: kyconnect events publish -f <file>',
      ],
    })
}

/** @throws UsageError */
function parseSending({ concurrency, rate, retryFor }: PublishOptions): SenderOptions {
  return {
    concurrency:
      concurrency === undefined ? defaultConcurrency : parseCount(concurrency, '--concurrency', 1, maxConcurrency),
    ratePerSecond: rate === undefined ? undefined : parseCount(rate.replace(/\/s$/, ''), '--rate', 1, maxRatePerSecond),
    retryForMs: retryFor === undefined ? defaultRetryForMs : parseTime(retryFor),
  }
}

function parseTime(given: string): number {
  const [, number = '', unit = ''] = /^(\d{1,5})([smh])$/.exec(given) ?? []
  const ms = Number(number) * ({ s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? 0)
  if (number !== '') return ms
  throw new UsageError(`--retry-for takes a time such as 90s, 5m or 1h, not ${JSON.stringify(given.slice(0, 40))}`)
}
