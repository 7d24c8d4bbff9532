import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface NginxGatewayOptions {
  /** `Sandbox.forProxy` has these four. */
  readonly servicesUrl: string
  readonly serverCertificateFile: string
  readonly serverKeyFile: string
  readonly clientCaFile: string
  readonly apps: readonly string[]
  /** Only this version; both when absent. */
  readonly tls?: 'TLSv1.2' | 'TLSv1.3'
  /** Requests on a connection before it announces the end of it; default: NGINX's own, 1,000. */
  readonly keepaliveRequests?: number
}

export interface NginxGateway {
  readonly port: number
  stop(): Promise<void>
}

/**
 * Starts the real NGINX in the sandbox gateway's place, configured as Kyma's ingress of the gateway host, on a free loopback port. It runs
 * in the foreground, in its own directory, as the user who runs the test.
 */
export async function startNginxGateway(options: NginxGatewayOptions): Promise<NginxGateway> {
  const directory = mkdtempSync(join(tmpdir(), 'nginx-gateway-'))
  mkdirSync(join(directory, 'temp'))
  const port = await freePort()
  writeFileSync(join(directory, 'nginx.conf'), configuration(options, port, directory))
  const errorLog = join(directory, 'error.log')
  const nginx = spawn('nginx', ['-p', directory, '-c', 'nginx.conf', '-e', errorLog], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` },
  })
  const stop = async (): Promise<void> => {
    await ended(nginx)
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await listening(nginx, port)
  } catch (error) {
    await stop()
    throw error
  }
  return { port, stop }
}

/** The ingress controller's server for the gateway host: one location a rule, everything else to the default backend. */
function configuration(options: NginxGatewayOptions, port: number, directory: string): string {
  const proxy = `
        proxy_pass ${options.servicesUrl};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header Client-Certificate-Subject $ssl_client_s_dn;
        proxy_set_header Client-Certificate $ssl_client_escaped_cert;`
  const connectorPaths = ['management/info', 'certificates/renewals', 'certificates/revocations']
  const connector = connectorPaths.map(
    (path) => `
      location /v1/applications/${path} {
        client_max_body_size 1m;${proxy}
      }`,
  )
  const apps = options.apps.flatMap((app) =>
    ['metadata', 'events'].map(
      (service) => `
      location /${app}/v1/${service} {
        client_max_body_size 5m;
        if ($ssl_client_s_dn !~ "(^|,|\\+)CN=${app.replaceAll('.', '\\.')}(,|\\+|$)") {
          return 403;
        }${proxy}
      }`,
    ),
  )
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `
    ${kind}_temp_path ${directory}/temp/${kind};`,
  )
  // One process, which stays who started it: a worker of root's master could not write to this directory.
  return `daemon off;
  master_process off;
  pid ${directory}/nginx.pid;
  events {}
  http {${temporary.join('')}
    access_log off;
    default_type text/plain;
    server {
      listen 127.0.0.1:${port} ssl http2;
      ssl_certificate ${options.serverCertificateFile};
      ssl_certificate_key ${options.serverKeyFile};
      keepalive_requests ${options.keepaliveRequests ?? 1000};
      ssl_protocols ${options.tls ?? 'TLSv1.2 TLSv1.3'};
      ssl_client_certificate ${options.clientCaFile};
      ssl_verify_client on;
      ssl_verify_depth 3;
      add_header Strict-Transport-Security "max-age=15724800; includeSubDomains" always;
      location / {
        return 404 "default backend - 404";
      }${connector.join('')}${apps.join('')}
    }
  }
`
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
  })
}

/** Milliseconds that nginx may take to come up, and to go. */
const PATIENCE = 10_000

async function listening(nginx: ChildProcess, port: number): Promise<void> {
  let failure: string | undefined
  let said = ''
  nginx.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  nginx.on('error', (error) => (failure = error.message))
  nginx.on('exit', (code) => (failure = `nginx ended with ${String(code)}: ${said}`))
  const deadline = Date.now() + PATIENCE
  while (!(await answers(port))) {
    if (failure !== undefined || Date.now() > deadline) throw new Error(failure ?? 'nginx does not come up')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => {
      resolve(false)
    })
  })
}

/** Ends the process that this file started, by its own handle. */
function ended(nginx: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (nginx.pid === undefined || nginx.exitCode !== null || nginx.signalCode !== null) {
      resolve()
      return
    }
    const timer = setTimeout(() => nginx.kill('SIGKILL'), PATIENCE)
    nginx.on('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    nginx.kill('SIGTERM')
  })
}
