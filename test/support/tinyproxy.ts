import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporaryFolder } from './certificates.js'
import { plainEnvironment } from './kyconnect.js'

/** A real proxy on loopback. */
export interface Tinyproxy {
  readonly port: number
  readonly url: string
  /** The hosts and ports it was asked to connect to, so far. */
  tunnels(): Promise<string[]>
  stop(): Promise<void>
}

export interface TinyproxyOptions {
  /** The user and password that it requires. */
  readonly credentials?: readonly [user: string, password: string]
  /** The ports that it connects to; default: every port. */
  readonly connectPorts?: readonly number[]
}

export async function startTinyproxy({ credentials, connectPorts = [] }: TinyproxyOptions = {}): Promise<Tinyproxy> {
  const folder = await temporaryFolder('tinyproxy')
  const [config, log] = [join(folder.path, 'tinyproxy.conf'), join(folder.path, 'log')]
  const port = await freePort()
  await writeFile(
    config,
    [
      `Port ${port}`,
      'Listen 127.0.0.1',
      'Allow 127.0.0.1',
      'Timeout 60',
      'MaxClients 20',
      'LogLevel Connect',
      `LogFile "${log}"`,
      ...(credentials === undefined ? [] : [`BasicAuth ${credentials.join(' ')}`]),
      ...connectPorts.map((allowed) => `ConnectPort ${allowed}`),
      '',
    ].join('\n'),
  )
  const child = spawn('tinyproxy', ['-d', '-c', config], { stdio: 'ignore', env: plainEnvironment() })
  await listening(child, port)
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    tunnels: async () => {
      const text = await readFile(log, 'utf8').catch(() => '')
      return [...text.matchAll(/CONNECT (\S+) HTTP/g)].map(([, target = '']) => target)
    },
    stop: async () => {
      if (child.exitCode === null) {
        child.kill('SIGTERM')
        await once(child, 'exit')
      }
      await folder.remove()
    },
  }
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error('tinyproxy ended before it listened')
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => {
        resolve(false)
      })
    })
    if (open) return
    await sleep(50)
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
