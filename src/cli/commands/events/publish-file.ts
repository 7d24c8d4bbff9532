import {
  asError,
  FilesError,
  KyconnectError,
  LockHeldError,
  NetworkError,
  RejectedEventsError,
  TimeoutError,
} from '../../../errors.js'
import { Checkpoint } from '../../../events/checkpoint.js'
import { requireDistinctFiles } from '../../../events/distinct-files.js'
import { EventEncoder } from '../../../events/event-encoder.js'
import { type EventInput, openInputFile, streamInput } from '../../../events/event-input.js'
import { EventKey } from '../../../events/event-key.js'
import { openLines } from '../../../events/open-lines.js'
import { orAborted } from '../../../events/or-aborted.js'
import { LinePublisher } from '../../../events/publish-lines.js'
import { RejectsFile } from '../../../events/rejects-file.js'
import type { EventSending } from '../../../kyconnect.js'
import type { Emit } from '../../../progress.js'
import { shellWord } from '../../../shell-word.js'
import type { Context } from '../../context.js'
import { type Counter, startCounter } from '../../output/counter.js'
import { jsonLine } from '../../output/json-document.js'
import { parseCount } from '../../route-choice.js'
import { RunProgress } from './progress.js'
import type { PublishOptions, SetUp } from './publish.js'
import { reportTrouble } from './report-trouble.js'
import { type Beginning, describeTotals, totalsDocument } from './totals.js'

/** Milliseconds for which Ctrl-C waits for the answers to what was sent. */
const drainMs = 5000

/** Publishes the lines of a file or of standard input. */
export async function publishFile(
  file: string,
  options: PublishOptions,
  { identity, openSender, sending, emit }: SetUp,
  context: Context,
): Promise<void> {
  const { kyconnect, runtime } = context
  const { commonName: source, gatewayHost } = identity.metadata
  const isJson = options.json === true
  const key = options.key === undefined ? undefined : new EventKey(options.key)
  const maxRejects = options.maxRejects === undefined ? Infinity : parseCount(options.maxRejects, '--max-rejects', 0)
  const controller = new AbortController()
  let failure: Error | undefined
  /** The first one counts. */
  const note = (error: unknown): void => {
    failure ??= asError(error)
  }
  let input: EventInput | undefined
  let checkpoint: Checkpoint | undefined
  let rejects: RejectsFile | undefined
  let publisher: LinePublisher | undefined
  let counter: Counter | undefined
  let sender: EventSending | undefined
  let beginning: Beginning = { line: 1, mayRepeat: false }
  try {
    input = await openInput(file, context)
    await requireDistinctFiles(input, options.checkpoint, options.rejects)
    if (options.checkpoint !== undefined) {
      const target = { source, gatewayHost: gatewayHost ?? '' }
      checkpoint = await Checkpoint.open(options.checkpoint, target, kyconnect.checkpointDeps())
      const { lines, isComplete } = checkpoint.found
      beginning = { line: lines + 1, mayRepeat: !isComplete }
    }
    if (options.rejects !== undefined) {
      // After a complete run, no entry can be about a line that is read again.
      rejects = await RejectsFile.open(options.rejects, beginning.mayRepeat ? checkpoint?.found.offset : undefined)
      checkpoint?.syncFirst(rejects)
    }
    const reader = await openLines(input, checkpoint, runtime.signal)
    if (isContinued(beginning) && !isJson)
      emit({
        type: 'notice',
        notice: 'events-continued',
        input: file === '-' ? 'standard input' : file,
        ...beginning,
      })
    const encoder = new EventEncoder({
      source,
      seed: checkpoint?.found.seed ?? runtime.randomHex(16),
      now: runtime.now,
    })
    const emitAbove: Emit = (event) => {
      if (counter === undefined) emit(event)
      else
        counter.interrupt(() => {
          emit(event)
        })
    }
    sender = openSender(emitAbove)
    publisher = new LinePublisher(
      { reader, encoder, checkpoint, rejects, maxRejects, keyOf: key?.of },
      sending,
      {
        ...sender.deps,
        signal: controller.signal,
        onPipeliningGivenUp: () => {
          emitAbove({ type: 'warning', warning: 'no-pipelining' })
        },
      },
      reportTrouble(emitAbove),
    )
    const progress = new RunProgress(publisher, input.size, runtime.monotonic)
    counter = startCounter(
      { describe: () => progress.describe(), draws: !isJson && options.verbose !== true, logs: !isJson },
      context,
    )
    await publishUntilStopped(publisher, context)
  } catch (error) {
    note(error)
  }
  counter?.stop()
  counter = undefined
  controller.abort(runtime.signal.reason)
  // All are closed, whatever happens to the others. The checkpoint makes the file of rejects reach the disk first.
  await checkpoint?.close(publisher?.isComplete ?? checkpoint.found.isComplete).catch(note)
  await rejects?.close().catch(note)
  await input?.close().catch(note)
  if (publisher !== undefined) {
    if (key?.isUnused === true) emit({ type: 'warning', warning: 'key-not-found', pointer: options.key ?? '' })
    const { unfinished } = publisher
    const hasFinished = failure === undefined
    if (unfinished !== undefined && hasFinished)
      emit({ type: 'warning', warning: 'line-unfinished', line: unfinished.number, offset: unfinished.offset })
    if (failure === undefined) failure = rejectedLines(publisher, options)
    else explain(failure, publisher, options)
    await reportTotals(publisher, beginning, isJson, context).catch(note)
    if (hasFinished) await sender?.settle()
  }
  if (failure !== undefined) throw failure
}

/** Publishes until the input ends, or Ctrl-C: that waits for the answers to what was sent. */
async function publishUntilStopped(publisher: LinePublisher, { runtime: { signal } }: Context): Promise<void> {
  try {
    await orAborted(publisher.run(), signal)
  } catch (error) {
    if (signal.aborted) await publisher.stop(drainMs)
    throw error
  }
}

async function openInput(file: string, { stdin }: Context): Promise<EventInput> {
  return file === '-' ? streamInput(stdin.stream(), 'standard input', stdin.stat) : openInputFile(file)
}

function isContinued({ line, mayRepeat }: Beginning): boolean {
  return line > 1 || mayRepeat
}

async function reportTotals(
  { totals }: LinePublisher,
  beginning: Beginning,
  isJson: boolean,
  { stdout, stderr }: Context,
): Promise<void> {
  if (isJson) {
    await stdout.write(jsonLine(totalsDocument(totals, beginning)))
    return
  }
  await stdout.write(describeTotals(totals, isContinued(beginning)))
  const { ignored } = totals.thisRun
  if (ignored > 0)
    await stderr.write(
      `note: nothing in the cluster subscribes to ${ignored} of these events: Kyma dropped ${ignored === 1 ? 'it' : 'them'}
`,
    )
}

/** The error for a run that has rejected lines, and has published the others. */
function rejectedLines({ totals }: LinePublisher, { rejects = '' }: PublishOptions): RejectedEventsError | undefined {
  const { rejected } = totals.thisRun
  if (rejected === 0) return undefined
  const message = `${rejected} ${rejected === 1 ? 'event was' : 'events were'} rejected`
  return new RejectedEventsError(message, { details: { rejected }, hints: rejectsHints(rejects) })
}

/** @param path of the file of rejects */
function rejectsHints(path: string): string[] {
  const file = shellWord(path)
  return [
    `see the reasons: jq -r '"line \\(.lineNumber): \\(.reason)"' ${file}`,
    `get the lines back into a file, correct them, and publish that file: jq -r '.line // empty' ${file} > corrected.ndjson`,
  ]
}

/** Adds to the error that ended a run how it can be continued. */
function explain(error: Error, publisher: LinePublisher, { checkpoint, rejects }: PublishOptions): void {
  if (!(error instanceof KyconnectError) || error instanceof LockHeldError) return
  // The checkpoint would refuse what is left of the input.
  if (error instanceof FilesError && error.reason === 'truncated') return
  const again = checkpoint === undefined ? [] : ['run the same command again to continue']
  if (error instanceof RejectedEventsError && rejects !== undefined)
    error.replaceHints(...rejectsHints(rejects), 'to allow more, raise --max-rejects', ...again)
  else if (error instanceof RejectedEventsError)
    error.replaceHints(
      checkpoint === undefined
        ? 'to continue after a correction instead of sending everything again, add --checkpoint <file>'
        : 'correct that line in its place, rather than delete it: the ids of events without an event-id depend on the numbers of their lines',
      ...again,
      'to keep rejected events in a file and publish the others, add --rejects <file>',
    )
  // It has worked before, so the address and the port are right.
  else if ((error instanceof NetworkError || error instanceof TimeoutError) && publisher.answered > 0)
    error.replaceHints('find out why the gateway does not answer any more: kyconnect info', ...again)
  else for (const hint of again) error.addHint(hint)
}
