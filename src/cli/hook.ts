import type { ChildProcess } from 'node:child_process'
import { errorCodeOf, HookFailedError } from '../errors.js'
import type { Context } from './context.js'

/** Milliseconds that a command may go on after this program was asked to end. */
const graceMs = 60_000

/** Variables that hold secrets: the hook does not get them. */
const secret = /^KYCONNECT_(?:TOKEN_URL$|SECRET_)/

/**
 * Runs the command of --exec in a shell, with the renewed profiles in KYCONNECT_PROFILES, separated by blanks. What it prints goes to
 * standard error, because standard output is for the result of kyconnect itself.
 * @throws HookFailedError; the reason of the signal when the program was asked to end and the command did not end within a minute
 */
export async function runHook(command: string, profiles: readonly string[], { runtime }: Context): Promise<void> {
  const { environment, platform, signal } = runtime
  const { spawn } = await import('node:child_process')
  const child = spawn(command, {
    shell: platform === 'win32' ? true : '/bin/sh',
    stdio: ['ignore', 2, 2],
    env: {
      ...Object.fromEntries(Object.entries(environment).filter(([name]) => !secret.test(name))),
      KYCONNECT_PROFILES: profiles.join(' '),
    },
    windowsHide: true,
  })
  const end = await ended(child, signal)
  if (end === 0) return
  if (end === undefined) signal.throwIfAborted()
  throw new HookFailedError(`the command of --exec failed: ${describeEnd(end)}`, {
    details: { profiles, end },
    hints: ['correct the command: the next renewal with --exec runs it again, without renewing again'],
  })
}

/** The exit code, the signal, or the code of the error that kept it from starting; undefined when it was ended for taking too long. */
function ended(child: ChildProcess, signal: AbortSignal): Promise<number | string | undefined> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined
    let isLate = false
    const stop = (): void => {
      timer ??= setTimeout(() => {
        isLate = true
        child.kill('SIGTERM')
      }, graceMs)
    }
    const finish = (end: number | string | undefined): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      resolve(end)
    }
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    child.once('error', (error) => {
      finish(errorCodeOf(error) || error.message)
    })
    child.once('exit', (code, name) => {
      finish(isLate ? undefined : (code ?? name ?? 'unknown'))
    })
  })
}

function describeEnd(end: number | string | undefined): string {
  return typeof end === 'number' ? `it ended with ${end}` : `it was ended by ${end ?? 'this program'}`
}
