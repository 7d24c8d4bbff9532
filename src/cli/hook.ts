import type { ChildProcess } from 'node:child_process'
import { errorCodeOf, HookFailedError } from '../errors.js'
import type { Context } from './context.js'

/** Milliseconds that a command may go on after this program was asked to end. */
const graceMs = 60_000

/** Variables that hold secrets, which the command does not get. KYCONNECT_IDENTITY is a packed identity, as in the examples for CI. */
const secret = /^KYCONNECT_(?:TOKEN_URL$|IDENTITY$|SECRET_)/

/** How a command ended: its exit code, the name of a signal, or the error that kept it from starting. `late`: it was not waited for any longer. */
type End =
  | { readonly how: 'exited'; readonly code: number }
  | { readonly how: 'killed'; readonly signal: string }
  | { readonly how: 'not-started'; readonly error: unknown }
  | { readonly how: 'late' }

/**
 * Runs the --exec command in a shell, with the renewed profiles in KYCONNECT_PROFILES, separated by blanks. What it prints goes to
 * standard error, because standard output is for the result of kyconnect itself.
 * @throws HookFailedError; the reason of the signal when the program was asked to end and the command did not end within a minute
 */
export async function runHook(command: string, profiles: readonly string[], { runtime }: HookContext): Promise<void> {
  const { environment, platform, signal } = runtime
  const { spawn } = await import('node:child_process')
  const end = await ended(
    () =>
      spawn(command, {
        shell: platform === 'win32' ? true : '/bin/sh',
        stdio: ['ignore', 2, 2],
        env: {
          ...Object.fromEntries(Object.entries(environment).filter(([name]) => !secret.test(name))),
          KYCONNECT_PROFILES: profiles.join(' '),
        },
        windowsHide: true,
      }),
    signal,
  )
  switch (end.how) {
    case 'exited':
      if (end.code === 0) return
      throw hookFailed(profiles, end.code, `it exited with code ${end.code}`)
    case 'killed':
      throw hookFailed(profiles, end.signal, `it was killed by ${end.signal}`)
    case 'not-started': {
      const code = errorCodeOf(end.error) || String(end.error)
      throw hookFailed(profiles, code, `it could not be started: ${notStarted(code)}`)
    }
    case 'late':
      signal.throwIfAborted()
  }
}

/** What a hook takes from its surroundings. */
interface HookContext {
  readonly runtime: Pick<Context['runtime'], 'environment' | 'platform' | 'signal'>
}

/** Waits for a command. After the signal it may go on for a minute; then it gets a SIGTERM, and is not waited for, because it may ignore that. */
function ended(startCommand: () => ChildProcess, signal: AbortSignal): Promise<End> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined
    const finish = (end: End): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      resolve(end)
    }
    let child: ChildProcess | undefined
    const stop = (): void => {
      timer = setTimeout(() => {
        child?.kill('SIGTERM')
        finish({ how: 'late' })
      }, graceMs)
    }
    try {
      child = startCommand()
    } catch (error) {
      // Node throws some of these errors, as that for too long an environment, and reports others as an event.
      finish({ how: 'not-started', error })
      return
    }
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    child.once('error', (error) => {
      finish({ how: 'not-started', error })
    })
    child.once('exit', (code, name) => {
      finish(code === null ? { how: 'killed', signal: name ?? 'unknown' } : { how: 'exited', code })
    })
  })
}

function notStarted(code: string): string {
  return code === 'E2BIG' ? 'the names of the profiles and the environment are too long for this system' : code
}

/** @param end tells failures apart that are not the same */
function hookFailed(profiles: readonly string[], end: number | string, problem: string): HookFailedError {
  return new HookFailedError(`the --exec command failed: ${problem}`, {
    details: { profiles, end },
    hints:
      end === 'E2BIG'
        ? ['run it for one profile at a time: kyconnect renew --profile <profile> --if-due --exec <command>']
        : ['correct the command: the next renewal with --exec runs it again, without renewing again'],
  })
}
