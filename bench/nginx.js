import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

/**
 * Starts NGINX on a free loopback port, with mutual TLS, in front of a plain HTTP service: one process, as a worker of the ingress controller
 * is. The caller ends it.
 */
export async function startNginx(
  folder,
  { upstreamPort, certificateFile, keyFile, clientCaFile, keepaliveRequests = 1000 },
) {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  const at = (name) => join(folder, `${port}-${name}`)
  mkdirSync(at('temp'))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${at('temp')}/${kind};`,
  )
  writeFileSync(
    at('nginx.conf'),
    `daemon off; master_process off; pid ${at('nginx.pid')};
    events { worker_connections 1024; }
    http { ${temporary.join(' ')}
      access_log off;
      keepalive_requests ${keepaliveRequests};
      upstream events { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000; }
      server {
        listen 127.0.0.1:${port} ssl;
        ssl_certificate ${certificateFile}; ssl_certificate_key ${keyFile};
        ssl_client_certificate ${clientCaFile}; ssl_verify_client on; ssl_verify_depth 3;
        location / { proxy_pass http://events; proxy_http_version 1.1; proxy_set_header Connection ""; }
      }
    }`,
  )
  const nginx = spawn('nginx', ['-p', folder, '-c', at('nginx.conf'), '-e', at('error.log')], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  })
  await new Promise((resolve) => setTimeout(resolve, 500))
  if (nginx.exitCode !== null) throw new Error(readFileSync(at('error.log'), 'utf8'))
  return { port, nginx }
}
