import { KyconnectError, UsageError } from '../../../errors.js'
import { checkProfileName } from '../../../identity/profile-name.js'
import type { RunOptions } from '../../../kyconnect.js'
import type { ProgressEvent } from '../../../progress.js'
import { oneLine } from '../../../redaction.js'
import { Alarm } from '../../../renewal/alarm.js'
import { Daemon } from '../../../renewal/daemon.js'
import type { DaemonEvent } from '../../../renewal/daemon-event.js'
import { formatCounters } from '../../../renewal/daemon-metrics.js'
import { type DueRule, usualDueRule } from '../../../renewal/due.js'
import { serveMonitoring } from '../../../renewal/monitoring.js'
import { formatMetrics } from '../../../renewal/prometheus.js'
import type { RenewalRun } from '../../../renewal/run.js'
import type { Context } from '../../context.js'
import { exitCodeOf } from '../../exit-codes.js'
import { createProgressRenderer } from '../../output/progress-renderer.js'
import { routeChoice } from '../../route-choice.js'
import { daemonDocument, daemonLine } from './daemon-log.js'
import { parseListenAddress } from './listen-address.js'
import type { RenewOptions } from './run.js'

/** Milliseconds within which a renewal must end after the signal; then the process ends without it, as after a crash. */
const abandonAfterMs = 500
/** Milliseconds after a hook for which the process does not end, so that its success is recorded: otherwise the next run repeats it. */
const recordingMs = 10_000
/** Milliseconds within which the log's reader must take the last lines. */
const lastLinesMs = 300

/**
 * Runs until the process is asked to end, and ends with the exit code that every other command would.
 * @param profile the only one to renew; undefined: all
 */
export async function runDaemon(
  profile: string | undefined,
  request: Omit<RenewalRun, 'profiles'>,
  options: RenewOptions,
  context: Context,
): Promise<void> {
  const { kyconnect, runtime, stopped } = context
  const { signal, now, monotonic, randomHex } = runtime
  if (profile !== undefined) checkProfileName(profile)
  const listenAddress = options.listen === undefined ? undefined : parseListenAddress(options.listen)
  const rule = request.onlyDue ?? usualDueRule
  const log = createLog(options.json === true, rule, context)
  const { report } = log
  const alarm = new Alarm()
  context.onHangup(() => {
    alarm.ring()
  })
  const { emit, trace } = await createProgressRenderer(
    { json: options.json === true, verbose: options.verbose === true },
    context,
  )
  const warnings = new Warnings(emit)
  // Mistakes in the flags are reported now, and not with the first renewal.
  if ((await routeChoice(options, context)).insecure) emit({ type: 'warning', warning: 'insecure' })
  const daemon = new Daemon(
    { profile, rule, hasHook: request.hook !== undefined },
    {
      now,
      monotonic,
      random: () => parseInt(randomHex(4), 16) / 2 ** 32,
      sleep: (milliseconds) => alarm.wait(milliseconds, signal),
      signal,
      summaries: () => kyconnect.store.mendAll(),
      run: async (profiles, onResult) => {
        // The flags name files, which may have been replaced since the last run.
        const choice = await routeChoice(options, context)
        const { hook, isUnderWay } = observeHook(request.hook, monotonic)
        const renewal = { ...request, hook, profiles }
        const running = kyconnect.renew(renewal, { choice, emit: warnings.emit, trace }, (result) => {
          if (result.outcome === 'renewed') warnings.forget()
          onResult(result)
        })
        return orAbandon(running, isUnderWay, context)
      },
      emit: report,
    },
  )
  const monitoring =
    listenAddress &&
    (await serveMonitoring(listenAddress, {
      problems: () => daemon.problems().map((problem) => oneLine(kyconnect.showable(problem))),
      metrics: () => kyconnect.showable(formatMetrics(daemon.summaries, rule, now()) + formatCounters(daemon)),
    }))
  void stopped.then(() => {
    report({ event: 'stopping' })
  })
  try {
    const { place } = kyconnect.store
    report({ event: 'started', url: monitoring?.url, only: profile, place, isEmpty: await isEmpty(profile, context) })
    await daemon.run()
  } catch (error) {
    // It ends as it was asked to, which is not an error to report: the exit code says by what.
    if (!(error instanceof KyconnectError) || error !== signal.reason) throw error
    context.exitCode = exitCodeOf(error.code)
  } finally {
    monitoring?.close()
    await log.end()
  }
}

/** Whether there is nothing to care for; the daemon itself reports a store that cannot be read. */
async function isEmpty(only: string | undefined, { kyconnect }: Context): Promise<boolean> {
  try {
    const summaries = await kyconnect.store.summaries()
    return !summaries.some(({ profile }) => only === undefined || only === profile)
  } catch (error) {
    if (!(error instanceof KyconnectError)) throw error
    return false
  }
}

/** @throws UsageError for flags that have no effect without --daemon */
export function checkDaemonOptions({ daemon, listen }: RenewOptions): void {
  if (listen !== undefined && daemon === undefined)
    throw new UsageError('--listen is for --daemon only', { hints: ['add --daemon, or leave --listen out'] })
}

/** The daemon's log. */
interface Log {
  readonly report: (event: DaemonEvent) => void
  /** Waits for the last lines. If its reader has stopped reading, this ends the process by the signal that it received. */
  readonly end: () => Promise<void>
}

/**
 * Writes a line per event to standard output. A line that cannot be written, because the disk is full or the log's reader has ended or
 * stopped reading, is lost or late: certificates are renewed all the same.
 */
function createLog(json: boolean, rule: DueRule, { kyconnect, runtime, stdout, endNow }: Context): Log {
  let writing = Promise.resolve()
  return {
    report: (event) => {
      const now = runtime.now()
      const line = json
        ? kyconnect.redactJson(daemonDocument(event, rule, now))
        : oneLine(kyconnect.showable(daemonLine(event, rule, now)))
      writing = writing.then(() => stdout.writeInBackground(`${line}\n`)).catch(() => undefined)
    },
    end: async () => {
      const timer = setTimeout(endNow, lastLinesMs)
      await writing
      clearTimeout(timer)
    },
  }
}

/** The hook of one run, and whether it is running, or has ended just now and its end is not recorded yet. */
function observeHook(
  hook: RenewalRun['hook'],
  monotonic: () => number,
): { readonly hook: RenewalRun['hook']; readonly isUnderWay: () => boolean } {
  let [isRunning, endedMs] = [false, -Infinity]
  const observed: RenewalRun['hook'] =
    hook &&
    (async (profiles) => {
      isRunning = true
      try {
        await hook(profiles)
      } finally {
        isRunning = false
        endedMs = monotonic()
      }
    })
  return { hook: observed, isUnderWay: () => isRunning || monotonic() - endedMs < recordingMs }
}

/** Passes warnings on, each once until a renewal succeeds: a renewal that fails is tried again and again. */
class Warnings {
  readonly #said = new Set<string>()
  readonly #emit: RunOptions['emit']

  constructor(emit: RunOptions['emit']) {
    this.#emit = emit
  }

  readonly emit = (event: ProgressEvent): void => {
    const key = JSON.stringify(event)
    if (event.type !== 'warning' || this.#said.has(key)) return
    this.#said.add(key)
    this.#emit(event)
  }

  forget(): void {
    this.#said.clear()
  }
}

/**
 * The result of a run. After the signal a run usually ends at once. Where it cannot, as while a key is generated, the signal ends the process
 * without it, as a crash would, which leaves the old identity or the new one. A hook has a time limit itself.
 */
function orAbandon<T>(running: Promise<T>, isHookUnderWay: () => boolean, { runtime, endNow }: Context): Promise<T> {
  const { signal } = runtime
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const watch = (): void => {
      timer = setTimeout(() => {
        if (isHookUnderWay()) watch()
        else endNow()
      }, abandonAfterMs)
    }
    signal.addEventListener('abort', watch, { once: true })
    if (signal.aborted) watch()
    running.then(resolve, reject).finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', watch)
    })
  })
}
