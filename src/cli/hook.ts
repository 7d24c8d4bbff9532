import type { ChildProcess } from 'node:child_process'
import { errorCodeOf, HookFailedError } from '../errors.js'
import type { Context } from './context.js'

/** Milliseconds for which a running command is waited for after this program was asked to end. */
const graceMs = 60_000

/** Variables that hold secrets, which the command does not get. KYCONNECT_IDENTITY is a packed identity, as in the examples for CI. */
const secret = /^KYCONNECT_(?:TOKEN_URL$|IDENTITY$|SECRET_)/

/**
 * Runs the --exec command in a shell, with the renewed profiles in KYCONNECT_PROFILES, separated by blanks. What it prints goes to
 * standard error, because standard output is for the result of kyconnect itself.
 * @throws HookFailedError; the reason of the signal when the program was asked to end and the command did not end within a minute
 */
export async function runHook(
  command: string,
  profiles: readonly string[],
  { runtime: { environment, platform, signal } }: HookContext,
): Promise<void> {
  const { spawn } = await import('node:child_process')
  const begin = (): ChildProcess =>
    spawn(command, {
      shell: platform === 'win32' ? true : '/bin/sh',
      stdio: ['ignore', 2, 2],
      env: {
        ...Object.fromEntries(Object.entries(environment).filter(([name]) => !secret.test(name))),
        KYCONNECT_PROFILES: profiles.join(' '),
      },
      windowsHide: true,
    })
  const end = await outcome(begin, signal)
  if (end.kind === 'exited' && end.code === 0) return
  if (end.kind === 'late') signal.throwIfAborted()
  throw new HookFailedError(`the --exec command failed: ${describeEnd(end)}`, {
    details: { profiles, end: end.code },
    hints: ['correct the command: the next renewal with --exec runs it again, without renewing again'],
  })
}

/** What a hook takes from its surroundings. */
interface HookContext {
  readonly runtime: Pick<Context['runtime'], 'environment' | 'platform' | 'signal'>
}

/** How a command ended. `late`: it was still running a minute after this program was asked to end. */
type End =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'killed' | 'not-started' | 'late'; readonly code: string }

function outcome(begin: () => ChildProcess, signal: AbortSignal): Promise<End> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined
    const stop = (): void => {
      timer ??= setTimeout(() => {
        // It may ignore the signal, or need a while: this program ends without it.
        child?.kill('SIGTERM')
        finish({ kind: 'late', code: 'SIGTERM' })
      }, graceMs)
    }
    const finish = (end: End): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      resolve(end)
    }
    const fail = (error: unknown): void => {
      finish({ kind: 'not-started', code: errorCodeOf(error) })
    }
    let child: ChildProcess | undefined
    try {
      child = begin()
    } catch (error) {
      // Node throws some errors, as for arguments that are too long, and emits others.
      fail(error)
      return
    }
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    child.once('error', fail)
    child.once('exit', (code, name) => {
      finish(code === null ? { kind: 'killed', code: name ?? 'a signal' } : { kind: 'exited', code })
    })
  })
}

function describeEnd({ kind, code }: End): string {
  switch (kind) {
    case 'exited':
      return `it exited with code ${code}`
    case 'killed':
    case 'late':
      return `it was killed by ${code}`
    case 'not-started':
      return `it could not be started (${code})`
  }
}
