import type { ChildProcess, spawn as Spawn } from 'node:child_process'
import { access, constants, stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { kill } from 'node:process'
import { ClusterAccessError, errorCodeOf, hasErrorCode } from '../errors.js'
import type { Emit } from '../progress.js'
import { oneLine, type Redactor } from '../redaction.js'
import { type ExecCredential, type ExecCluster, execInfo, parseExecCredential } from './exec-credential.js'
import type { ExecConfig } from './kubeconfig-file.js'
import { shellWord } from '../shell-word.js'

export interface PluginDeps {
  readonly platform: NodeJS.Platform
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Whether the plugin may ask its questions on standard input. */
  readonly isInteractive: boolean
  /** Milliseconds; a person may have to log in. */
  readonly pluginTimeoutMs: number
  readonly signal: AbortSignal
  readonly emit: Emit
  readonly redactor: Redactor
}

/** Variables that a plugin must not see. */
const secretVariables: ReadonlySet<string> = new Set(['KYCONNECT_TOKEN_URL'])
const maxOutputBytes = 1024 * 1024
const maxLines = 20
const maxLineLength = 300
/** Between SIGTERM and SIGKILL. */
const gracePeriodMs = 1000

/** An exec plugin of a kubeconfig, and the cluster as it may see it. */
export interface Plugin {
  readonly exec: ExecConfig
  readonly cluster: ExecCluster
  /** For the messages. */
  readonly context: string
}

/**
 * Runs a plugin, as kubectl does: in the current folder and environment, with KUBERNETES_EXEC_INFO.
 * @throws ClusterAccessError; the reason of the signal
 */
export async function runPlugin({ exec, cluster, context }: Plugin, deps: PluginDeps): Promise<ExecCredential> {
  const isInteractive = deps.isInteractive && exec.interactiveMode !== 'Never'
  if (exec.interactiveMode === 'Always' && !isInteractive) {
    throw new ClusterAccessError(`${title(exec)} needs a terminal: its interactiveMode is Always`, {
      reason: 'NOT_INTERACTIVE',
      details: { context, command: exec.shownCommand },
      hints: ['run the command on a terminal, without --json and without a pipe as standard input'],
    })
  }
  const file = await findExecutable(exec, context, deps)
  const environment = {
    ...Object.fromEntries(Object.entries(deps.environment).filter(([name]) => !secretVariables.has(name))),
    ...Object.fromEntries(exec.env.map(({ name, value }) => [name, value])),
    KUBERNETES_EXEC_INFO: JSON.stringify(execInfo(exec, cluster, isInteractive)),
  }
  // Loaded here, because it costs every other command 1.5 ms of its start.
  const { spawn } = await import('node:child_process')
  deps.signal.throwIfAborted()
  const child = start(spawn, file, exec, environment, isInteractive, deps)
  const output = await outputOf(child, exec, context, deps)
  return parseExecCredential(output, exec, title(exec))
}

/** @throws ClusterAccessError, which repeats no argument and no variable: Node's own error would, and there are secrets in them */
function start(
  spawn: typeof Spawn,
  file: string,
  exec: ExecConfig,
  env: Readonly<Record<string, string | undefined>>,
  isInteractive: boolean,
  deps: PluginDeps,
): ChildProcess {
  try {
    return spawn(file, exec.args, {
      env,
      stdio: [isInteractive ? 'inherit' : 'ignore', 'pipe', 'pipe'],
      // With its own process group, a plugin can be ended together with everything that it started. On a terminal it stays in ours: it may ask for a password.
      detached: !deps.isInteractive,
      windowsHide: true,
    })
  } catch (error) {
    const reason = errorCodeOf(error)
    const problem = reason === 'ERR_INVALID_ARG_VALUE' ? 'a NUL character is in its arguments or variables' : reason
    throw new ClusterAccessError(`${title(exec)} cannot be started: ${problem}`, {
      reason,
      details: { command: exec.shownCommand },
      hints: ['check the args and env of the plugin in the kubeconfig'],
    })
  }
}

/** The plugin as messages name it. */
function title({ shownCommand }: ExecConfig): string {
  return `the exec plugin ${shownCommand}`
}

/** The program to start: a path as it is, a plain name from PATH. */
async function findExecutable(exec: ExecConfig, context: string, deps: PluginDeps): Promise<string> {
  const { command = '', shownCommand, installHint } = exec
  const { environment, platform } = deps
  const isPath = isAbsolute(command)
  // Windows completes names with the extensions of PATHEXT by itself.
  if (platform === 'win32') return command
  const folders = (environment['PATH'] ?? '').split(delimiter).filter(isAbsolute)
  for (const candidate of isPath ? [command] : folders.map((folder) => join(folder, command))) {
    if (await isExecutable(candidate)) return candidate
  }
  const isThere = isPath && (await exists(command))
  const place = isPath && command !== shownCommand ? ` (${command})` : ''
  const problem = isThere ? 'is not executable' : isPath ? 'does not exist' : 'is not in PATH'
  throw new ClusterAccessError(`${title(exec)} ${problem}${place}`, {
    reason: isThere ? 'EACCES' : 'ENOENT',
    details: { context, command: shownCommand },
    hints: [
      ...(installHint === undefined ? [] : [oneLine(installHint).slice(0, maxLineLength)]),
      isThere
        ? `make it executable: chmod +x ${shellWord(command)}`
        : `install it, or correct its command in the kubeconfig (context "${context}")`,
    ],
  })
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return (await stat(file)).isFile()
  } catch {
    return false
  }
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}

/** Returns everything that a plugin writes to standard output. What it writes to standard error is passed on as it arrives, within bounds. */
async function outputOf(child: ChildProcess, exec: ExecConfig, context: string, deps: PluginDeps): Promise<string> {
  const failure = (problem: string, reason: string, hints: readonly string[] = []): ClusterAccessError =>
    new ClusterAccessError(`${title(exec)} ${problem}`, {
      reason,
      details: { context, command: exec.shownCommand },
      hints: [...hints, `try it with kubectl: kubectl --context ${shellWord(context)} get namespaces`],
    })
  const words = new PluginWords((line) => {
    deps.emit({ type: 'notice', notice: 'plugin-message', plugin: exec.shownCommand, line })
  }, deps.redactor)
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words.add(text)
  })
  const chunks: Buffer[] = []
  let size = 0
  const stop = new AbortController()
  const timer = setTimeout(() => {
    stop.abort(failure(`returned no credentials within ${deps.pluginTimeoutMs / 1000} s`, 'TIMEOUT'))
  }, deps.pluginTimeoutMs)
  child.stdout?.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > maxOutputBytes)
      stop.abort(failure(`wrote more than ${maxOutputBytes / 1024 / 1024} MiB to standard output`, 'TOO_LARGE'))
    else chunks.push(chunk)
  })
  const signal = AbortSignal.any([deps.signal, stop.signal])
  try {
    const code = await ended(child, signal, !deps.isInteractive)
    if (code === 0) return Buffer.concat(chunks).toString('utf8')
    const how = typeof code === 'number' ? `with exit code ${code}` : `by ${code}`
    throw failure(`failed ${how}${words.last === '' ? '' : `: ${words.last}`}`, 'PLUGIN_FAILED')
  } catch (error) {
    // The file existed a moment ago; a script whose interpreter is missing fails like this too.
    if (hasErrorCode(error, 'ENOENT', 'EACCES', 'ENOEXEC'))
      throw failure(`cannot be started: ${errorCodeOf(error)}`, errorCodeOf(error), [
        'check its first line (#!), which names its interpreter',
      ])
    throw error
  } finally {
    clearTimeout(timer)
    words.end()
  }
}

/** The exit code or signal of a child. When the signal is aborted, the child is ended first. @throws the reason of the signal */
function ended(child: ChildProcess, signal: AbortSignal, isGroup: boolean): Promise<number | NodeJS.Signals> {
  return new Promise((resolve, reject) => {
    let force: NodeJS.Timeout | undefined
    const settle = (act: () => void): void => {
      clearTimeout(force)
      signal.removeEventListener('abort', stop)
      // A process that the plugin left running may hold the pipes open.
      child.stdout?.destroy()
      child.stderr?.destroy()
      act()
    }
    const giveUp = (): void => {
      settle(() => {
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
      })
    }
    const stop = (): void => {
      end(child, 'SIGTERM', isGroup)
      force = setTimeout(() => {
        end(child, 'SIGKILL', isGroup)
        giveUp()
      }, gracePeriodMs)
    }
    child.once('error', (error) => {
      settle(() => {
        reject(error)
      })
    })
    child.once('close', (code, name) => {
      if (signal.aborted) giveUp()
      else
        settle(() => {
          resolve(name ?? code ?? 0)
        })
    })
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
}

function end(child: ChildProcess, name: 'SIGTERM' | 'SIGKILL', isGroup: boolean): void {
  try {
    if (isGroup && child.pid !== undefined) kill(-child.pid, name)
    else child.kill(name)
  } catch {
    // It has ended by itself, or the platform has no groups.
    child.kill(name)
  }
}

/** Keys and tokens contain such long runs of characters; paths, names and UUIDs do not. */
const secretLike = /[A-Za-z0-9_-]{40,}/g

/** Keeps the URL of a login: a person has to open it, and its long parameters are valid for one login. */
function redactWords(line: string): string {
  return line
    .split(' ')
    .map((word) => (word.includes('://') ? word : word.replace(secretLike, 'REDACTED')))
    .join(' ')
}

/** The lines that a plugin writes to standard error: redacted, shortened, and not too many. */
class PluginWords {
  /** The last line that says something. */
  last = ''
  #rest = ''
  #count = 0
  readonly #pass: (line: string) => void
  readonly #redactor: Redactor

  constructor(pass: (line: string) => void, redactor: Redactor) {
    this.#pass = pass
    this.#redactor = redactor
  }

  add(text: string): void {
    const lines = `${this.#rest}${text.slice(0, maxOutputBytes)}`.split(/[\r\n]+/)
    // A line without end is cut, once it is long enough to be shown.
    this.#rest = (lines.pop() ?? '').slice(0, 4 * maxLineLength)
    for (const line of lines) this.#say(line)
  }

  end(): void {
    this.#say(this.#rest)
    this.#rest = ''
  }

  #say(line: string): void {
    const clean = oneLine(redactWords(this.#redactor.redact(line.slice(0, 4 * maxLineLength))))
    if (clean === '') return
    this.last = clean.slice(0, maxLineLength)
    if (++this.#count <= maxLines) this.#pass(this.last)
  }
}
