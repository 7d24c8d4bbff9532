import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
export const program = join(root, 'bin', 'kyconnect.js')

/** What a process printed, and how it ended. */
export interface Run {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly input?: string
  readonly cwd?: string
  readonly uid?: number
  /** Milliseconds; then SIGKILL. */
  readonly limit?: number
}

/** A process that is still running; `end` resolves when it has ended and its output is whole. */
export interface Running {
  readonly child: ChildProcess
  readonly end: Promise<Run>
}

/** The environment of a process under test: nothing of ours but what it needs to run. */
export function plainEnvironment(more: Readonly<Record<string, string | undefined>> = {}): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env
  return { PATH: `${PATH ?? ''}:/usr/sbin:/sbin`, HOME, TMPDIR, ...more }
}

/** Starts a process and collects what it prints. */
export function start(command: string, args: readonly string[], options: RunOptions = {}): Running {
  const child = spawn(command, args, {
    env: plainEnvironment(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  })
  const chunks: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] }
  child.stdout.on('data', (chunk: Buffer) => chunks.stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => chunks.stderr.push(chunk))
  // It may have ended without reading its input.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const timer = setTimeout(() => child.kill('SIGKILL'), options.limit ?? 100_000)
  const end = once(child, 'close').then(([code, signal]: unknown[]) => {
    clearTimeout(timer)
    return {
      code: typeof code === 'number' ? code : null,
      signal: child.signalCode ?? (signal === null ? null : child.signalCode),
      stdout: Buffer.concat(chunks.stdout).toString('utf8'),
      stderr: Buffer.concat(chunks.stderr).toString('utf8'),
    }
  })
  return { child, end }
}

/** Runs a process to its end. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return start(command, args, options).end
}

/** Runs the built program to its end. */
export function kyconnect(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return run(process.execPath, [program, ...args], options)
}

/** The last line of stderr as the error that --json promises there. */
export function jsonError({ stderr }: Run): {
  code: string
  message: string
  hints: readonly string[]
  /** All hints in one text. */
  hint: string
  reason?: string
  target?: { host: string; address: string; port: number }
  exitCode: number
  details?: Record<string, unknown>
} {
  const last = stderr.trimEnd().split('\n').at(-1) ?? ''
  const { error } = JSON.parse(last) as { error: Omit<ReturnType<typeof jsonError>, 'hint'> }
  return { ...error, hint: error.hints.join('; ') }
}
