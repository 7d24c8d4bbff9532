import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ServerCertificate } from './certificates.js'

export interface RefusingServer {
  readonly port: number
  stop(): Promise<void>
}

/** Starts a server that refuses every client certificate with a TLS alert. It is OpenSSL's, because Node's closes without an alert. */
export async function startRefusingServer(
  { certificateFile, keyFile }: ServerCertificate,
  version: 'TLSv1.2' | 'TLSv1.3',
): Promise<RefusingServer> {
  const server = spawn(
    'openssl',
    [
      's_server',
      '-accept',
      '127.0.0.1:0',
      '-cert',
      certificateFile,
      '-key',
      keyFile,
      version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3',
      '-Verify',
      '1',
      '-verify_return_error',
      '-CAfile',
      certificateFile,
    ],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  )
  const port = await new Promise<number>((resolve) => {
    let output = ''
    server.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const found = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(output)?.[1]
      if (found !== undefined) resolve(Number(found))
    })
  })
  return {
    port,
    stop: async () => {
      server.kill()
      await once(server, 'exit')
    },
  }
}
