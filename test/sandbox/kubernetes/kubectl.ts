import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where test/tools.sh unpacks the distribution's kubectl. */
const unpacked = fileURLToPath(new URL('../../../node_modules/.cache/kubernetes-client/usr/bin', import.meta.url))

/** The paths of the real programs: the distribution's and, if there is one, the machine's own. There is at least one. */
export const kubectls: readonly string[] = [[unpacked], (process.env['PATH'] ?? '').split(delimiter)].flatMap(
  (folders) =>
    folders
      .map((folder) => join(folder, 'kubectl'))
      .filter(isExecutable)
      .slice(0, 1),
)
if (kubectls.length === 0) throw new Error('kubectl not found: run test/tools.sh')

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The output of a kubectl and its exit code. It is killed after 60 s. */
export interface KubectlRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunningKubectl {
  readonly end: Promise<KubectlRun>
  /** Resolves once stdout matches. */
  said(pattern: RegExp): Promise<void>
  stop(): void
}

/**
 * Starts a kubectl that knows this cluster only, with caches that no other kubectl uses.
 * @param folder another one for its PATH
 */
export function startKubectl(
  program: string,
  kubeconfig: string,
  args: readonly string[],
  input = '',
  folder?: string,
): RunningKubectl {
  const PATH = [...(folder === undefined ? [] : [folder]), process.env['PATH'] ?? ''].join(delimiter)
  const child = spawn(program, args, { env: { PATH, KUBECONFIG: kubeconfig, HOME: join(kubeconfig, '..') } })
  const output = { stdout: '', stderr: '' }
  let check = (): void => undefined
  child.stdout.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString()
    check()
  })
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()))
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
  const end = new Promise<KubectlRun>((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, ...output })
    })
  })
  return {
    end,
    said: (pattern) =>
      new Promise((resolve, reject) => {
        check = () => {
          if (pattern.test(output.stdout)) resolve()
        }
        check()
        void end.then((run) => {
          reject(new Error(`kubectl ended: ${JSON.stringify(run)}`))
        })
      }),
    stop: () => void child.kill('SIGTERM'),
  }
}
