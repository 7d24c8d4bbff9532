import { randomBytes } from 'node:crypto'
import { hasErrorCode } from './errors.js'
import { homedir, hostname } from 'node:os'

/** What the process gives: gathered once, at the top, and handed down from here. */
export interface Runtime {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
  readonly userHome: string
  /** undefined where the platform has none. */
  readonly userId: number | undefined
  readonly pid: number
  readonly hostname: string
  /** Whether a process with this pid lives. */
  readonly isAlive: (pid: number) => boolean
  readonly now: () => Date
  /** Milliseconds that only go forward. */
  readonly monotonic: () => number
  readonly randomHex: (bytes: number) => string
  /** Aborted, with the error that everything under way shall end with, when the process is asked to end. */
  readonly signal: AbortSignal
}

/** What this process gives. @param signal see Runtime */
export function readRuntime(signal: AbortSignal): Runtime {
  return {
    environment: { ...process.env },
    platform: process.platform,
    userHome: homedir(),
    userId: process.geteuid?.(),
    pid: process.pid,
    hostname: hostname(),
    isAlive,
    now: () => new Date(),
    monotonic: () => Number(process.hrtime.bigint()) / 1e6,
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
    signal,
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return hasErrorCode(error, 'EPERM')
  }
}
