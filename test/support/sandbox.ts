import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { plainEnvironment, program } from './kyconnect.js'

/** What the sandbox says when it is up. */
export interface Ready {
  readonly connectorUrl: string
  readonly internalUrl: string
  readonly gatewayPort: number
  readonly domain: string
  readonly caFile: string
  readonly kubeconfig: string
  /** The contexts of the kubeconfig; the one with the token is current. */
  readonly contexts: { readonly token: string; readonly certificate: string }
  readonly tokenUrls: Readonly<Record<string, string>>
  readonly env: Readonly<Record<string, string>>
}

/** `kyconnect sandbox` as a process. */
export interface SandboxProcess {
  readonly ready: Ready
  readonly pid: number
  /** Another token URL. */
  tokenUrl(app?: string): Promise<string>
  stop(): Promise<void>
}

/** @param onLog takes the lines of --log; without it they are shown */
export async function startSandboxProcess(
  args: readonly string[] = [],
  onLog?: (line: string) => void,
): Promise<SandboxProcess> {
  const child = spawn(process.execPath, [program, 'sandbox', ...args], {
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', onLog === undefined ? 'inherit' : 'pipe'],
  })
  if (onLog !== undefined && child.stderr !== null) createInterface({ input: child.stderr }).on('line', onLog)
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout ?? Readable.from([]) })
  const line = await Promise.race([
    once(lines, 'line').then(([text]: unknown[]) => String(text)),
    exited.then(() => {
      throw new Error('the sandbox ended before it was up')
    }),
  ])
  const ready = JSON.parse(line) as Ready
  return {
    ready,
    pid: child.pid ?? 0,
    tokenUrl: async (app = 'demo') => {
      const answer = await fetch(`${ready.internalUrl}/v1/applications/tokens`, {
        method: 'POST',
        headers: { Application: app },
      })
      const { url } = (await answer.json()) as { url: string }
      return url
    },
    stop: async () => {
      child.kill('SIGTERM')
      await exited
    },
  }
}
