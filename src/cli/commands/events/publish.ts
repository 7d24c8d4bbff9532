import { RejectedEventsError, UsageError } from '../../../errors.js'
import { Checkpoint } from '../../../events/checkpoint.js'
import { EventEncoder } from '../../../events/event-encoder.js'
import { type EventInput, openInputFile, streamInput } from '../../../events/event-input.js'
import { parseKeyPointer } from '../../../events/event-key.js'
import type { SenderOptions } from '../../../events/event-sender.js'
import { nameFileError } from '../../../events/file-error.js'
import { openLines } from '../../../events/open-lines.js'
import { orAborted } from '../../../events/or-aborted.js'
import { publishOne } from '../../../events/publish-one.js'
import { LinePublisher, type Totals } from '../../../events/publish-lines.js'
import { RejectsFile } from '../../../events/rejects-file.js'
import {
  defaultConcurrency,
  defaultRetryForMs,
  maxConcurrency,
  maxRatePerSecond,
} from '../../../events/sending-limits.js'
import type { TroubleReport } from '../../../events/trouble.js'
import type { Context } from '../../context.js'
import { readGivenFile } from '../../given-file.js'
import { createCounter } from '../../output/counter.js'
import { warnOfExpiry } from '../../output/identity-report.js'
import { jsonLine } from '../../output/json-document.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer, type ProgressRenderer } from '../../output/progress-renderer.js'
import { shellWord } from '../../../shell-word.js'
import { readAll } from '../../read-all.js'
import { namedProfile, type NetworkOptions, parseCount, routeChoice } from '../../route-choice.js'
import { describeProgress } from './progress.js'

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

/** Milliseconds for which Ctrl-C waits for the answers to what was sent. */
const drainMs = 5000
const progressEveryMs = 200
/** What a run without a checkpoint continues from. */
const nothingBefore = { offset: 0, counts: { published: 0, ignored: 0, rejected: 0 } }

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
  const sender = kyconnect.eventSender(identity, { choice, emit: progress.emit, trace: progress.trace })
  const source = identity.metadata.commonName
  const setUp = { sender, source, sending, progress }
  if (options.file === undefined) await runOne(options, setUp, context)
  else await runMany(options.file, options, setUp, context)
}

interface SetUp {
  readonly sender: ReturnType<Context['kyconnect']['eventSender']>
  /** The App's name, as the bus sees it. */
  readonly source: string
  readonly sending: SenderOptions
  readonly progress: ProgressRenderer
}

async function runOne(options: PublishOptions, setUp: SetUp, context: Context): Promise<void> {
  const { sender, source, sending, progress } = setUp
  const { runtime, stdout } = context
  const encoder = new EventEncoder({ source, seed: runtime.randomHex(16), now: runtime.now })
  const event = encoder.encodeParts(
    {
      type: options.type ?? '',
      version: options.typeVersion ?? '',
      time: options.time ?? runtime.now().toISOString(),
      id: options.id ?? '',
      data: Buffer.from(await readData(options.data ?? '', context)),
    },
    { type: '--type', version: '--type-version', time: '--time', id: '--id', data: '--data' },
  )
  if (event.kind === 'rejected')
    throw new UsageError(`the event would be rejected: ${event.reason}`, {
      details: { field: event.field, problem: event.problem },
      hints: ['see kyconnect events publish --help'],
    })
  const deps = { ...sender.deps, signal: runtime.signal }
  const outcome = await publishOne(event, sending, deps, reportTrouble(progress))
  if (outcome.kind === 'rejected') {
    throw new RejectedEventsError(`the event was rejected: ${outcome.reason}`, {
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

async function runMany(file: string, options: PublishOptions, setUp: SetUp, context: Context): Promise<void> {
  const { kyconnect, runtime, stdout } = context
  const { sender, source, sending, progress } = setUp
  const keyOf = options.key === undefined ? undefined : parseKeyPointer(options.key)
  const maxRejects = options.maxRejects === undefined ? Infinity : parseCount(options.maxRejects, '--max-rejects', 0)
  const controller = new AbortController()
  const input = await openInput(file, context)
  const checkpoint =
    options.checkpoint === undefined ? undefined : await Checkpoint.open(options.checkpoint, kyconnect.checkpointDeps())
  let rejects: RejectsFile | undefined
  let publisher: LinePublisher | undefined
  let interruption: unknown
  const counter = await createCounter(options.json === true || options.verbose === true, context)
  try {
    const resumedAt = checkpoint === undefined || checkpoint.found.offset === 0 ? undefined : checkpoint.found.offset
    rejects = options.rejects === undefined ? undefined : await RejectsFile.open(options.rejects, resumedAt)
    if (rejects !== undefined) checkpoint?.syncFirst(rejects)
    const reader = await openLines(input, checkpoint, runtime.signal)
    const seed = checkpoint?.found.seed ?? runtime.randomHex(16)
    const encoder = new EventEncoder({ source, seed, now: runtime.now })
    const started = runtime.monotonic()
    const before = checkpoint?.found ?? nothingBefore
    let shownMs = started
    const show = (): void => {
      const now = runtime.monotonic()
      if (now - shownMs < progressEveryMs || publisher === undefined) return
      shownMs = now
      counter.show(describeProgress(publisher, { ms: now - started, size: input.size, before }))
    }
    publisher = new LinePublisher(
      { reader, encoder, checkpoint, rejects, maxRejects, keyOf },
      sending,
      {
        ...sender.deps,
        signal: controller.signal,
        onPipeliningGivenUp: () => {
          progress.emit({ type: 'warning', warning: 'no-pipelining' })
        },
      },
      {
        onProgress: show,
        ...reportTrouble(progress),
      },
    )
    try {
      await orAborted(publisher.run(), runtime.signal)
    } catch (error) {
      if (!runtime.signal.aborted) throw error
      interruption = runtime.signal.reason
      await publisher.stop(drainMs)
    }
  } finally {
    counter.stop()
    controller.abort(runtime.signal.reason)
    const totals = publisher?.totals
    await rejects?.close()
    await checkpoint?.close()
    await input.close()
    if (totals !== undefined) {
      if (options.json === true) await stdout.write(jsonLine(totals))
      else await stdout.write(`${describeTotals(totals)}\n`)
    }
  }
  if (interruption instanceof Error) throw interruption
  await sender.settle()
  const { rejected } = publisher.totals
  if (rejected > 0) {
    throw new RejectedEventsError(`${rejected} ${rejected === 1 ? 'event was' : 'events were'} rejected`, {
      details: { rejected },
      hints: [`see the reasons: jq -r '"\\(.offset) \\(.reason)"' ${shellWord(options.rejects ?? '')}`],
    })
  }
}

function reportTrouble({ emit }: ProgressRenderer): TroubleReport {
  return {
    onTrouble: (error) => {
      emit({ type: 'warning', warning: 'events-retried', cause: error.message })
    },
    onRecovery: () => {
      emit({ type: 'notice', notice: 'events-accepted' })
    },
  }
}

function describeTotals({ published, ignored, rejected, retried, maybeTwice }: Totals): string {
  return `published ${published}, ignored ${ignored} (nothing subscribes), rejected ${rejected}, retried ${retried}, maybe twice ${maybeTwice}`
}

async function openInput(file: string, { stdin, runtime: { signal } }: Context): Promise<EventInput> {
  if (file === '-') return streamInput(stdin.stream())
  try {
    return await openInputFile(file, signal)
  } catch (error) {
    throw nameFileError(error, `open ${file}`, '--file')
  }
}

async function readData(data: string, context: Context): Promise<string> {
  if (data === '-' || data === '@-') return readAll(context.stdin.stream(), context.runtime.signal)
  if (!data.startsWith('@')) return data
  return readGivenFile(data.slice(1), '--data', context)
}

/** @throws UsageError for flags that exclude each other, or miss one another */
function checkOptions(options: PublishOptions): void {
  const one = [options.type, options.typeVersion, options.data, options.id, options.time]
  const many = [options.checkpoint, options.rejects, options.maxRejects, options.key, options.rate, options.concurrency]
  const has = (flags: readonly (string | undefined)[]): boolean => flags.some((flag) => flag !== undefined)
  if (options.file !== undefined) {
    if (has(one))
      throw new UsageError('--file and the flags for one event exclude each other', {
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
