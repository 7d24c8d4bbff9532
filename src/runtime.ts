import { randomBytes } from 'node:crypto'
import { hasErrorCode } from './errors.js'
import { homedir, hostname } from 'node:os'

/** What kyconnect takes from its process: read once, at the start, and passed down from there. */
export interface Runtime {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
  readonly userHome: string
  /** undefined where the platform has none. */
  readonly userId: number | undefined
  readonly pid: number
  readonly hostname: string
  /** Whether a process with this pid is running. */
  readonly isAlive: (pid: number) => boolean
  readonly now: () => Date
  /** Milliseconds on a monotonic clock. */
  readonly monotonic: () => number
  readonly randomHex: (bytes: number) => string
  /** Aborted when the process is asked to end; its reason is the error that all running work ends with. */
  readonly signal: AbortSignal
}

/** Reads the runtime of this process. @param signal see {@link Runtime.signal} */
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
