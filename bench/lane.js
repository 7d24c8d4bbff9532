// Measures the CPU that an event takes on its way out: lanes, an undici Pool and ab, each over 16 connections with mutual TLS, through one
// NGINX to a listener that counts. One variant after the other in each round; prints medians.
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { eventBody as body, startListener } from './event-listener.js'
import { startNginx } from './nginx.js'

const here = dirname(fileURLToPath(import.meta.url))
const rounds = Number(process.env.KYCONNECT_BENCH_ROUNDS ?? 5)
const events = Number(process.env.KYCONNECT_BENCH_EVENTS ?? 50_000)
/** Milliseconds that the listener takes for an answer. */
const delayMs = Number(process.env.KYCONNECT_BENCH_DELAY_MS ?? 0)
const keepaliveRequests = Number(process.env.KYCONNECT_BENCH_KEEPALIVE ?? 1000)
const folder = mkdtempSync(join(tmpdir(), 'kyconnect-lane-'))
const at = (name) => join(folder, name)

const children = []
try {
  makeCertificates()
  writeFileSync(at('body.json'), body)
  const { listener, upstreamPort, received: count } = await startListener(delayMs)
  children.push(listener)
  const { port, nginx } = await startNginx(folder, {
    upstreamPort,
    certificateFile: at('server.crt'),
    keyFile: at('server.key'),
    clientCaFile: at('ca.crt'),
    keepaliveRequests,
  })
  children.push(nginx)
  await bundleLane()
  await measure(port, count)
} finally {
  for (const child of children) {
    if (child.exitCode !== null) continue
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
}

async function measure(port, count) {
  const client = (kind) => [
    'node',
    [
      ...(process.env.KYCONNECT_BENCH_NODE_FLAGS ?? '').split(' ').filter(Boolean),
      join(here, 'lane-client.js'),
      kind,
      folder,
      String(port),
      String(events),
    ],
  ]
  const variants = {
    lane: client('lane'),
    'lane, window 1': client('lane-1'),
    undici: client('undici'),
    ab: [
      'ab',
      [
        '-q',
        '-k',
        '-c',
        '16',
        '-n',
        String(events),
        '-E',
        at('client.pem'),
        '-p',
        at('body.json'),
        '-T',
        'application/json',
      ].concat(`https://127.0.0.1:${port}/shop/v1/events`),
    ],
  }
  const chosen = (process.env.KYCONNECT_BENCH_VARIANTS ?? Object.keys(variants).join(';')).split(';')
  const results = new Map(chosen.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of chosen) {
      const [program, args] = variants[name]
      const before = await count()
      results.get(name).push({ ...run(program, args), extra: (await count()) - before - events })
    }
  }
  for (const [name, list] of results) {
    const rate = median(list.map(({ seconds }) => events / seconds))
    const cpu = median(list.map(({ cpuSeconds }) => (cpuSeconds / events) * 1e6))
    const extra = list.map((result) => result.extra).join(' ')
    console.log(
      `${name.padEnd(16)} ${rate.toFixed(0).padStart(7)} events/s ${cpu.toFixed(1).padStart(7)} µs CPU an event; received beyond ${events}: ${extra}`,
    )
  }
}

/** Wall and CPU time of a program, its start included. */
function run(program, args) {
  const { stderr, stdout, status } = spawnSync(
    'bash',
    ['-c', `TIMEFORMAT='%R %U %S'; time "$0" "$@"`, program, ...args],
    {
      encoding: 'utf8',
    },
  )
  const [seconds, user, system] = stderr.trim().split('\n').at(-1).split(' ').map(Number)
  if (status !== 0 || /Failed requests: +[1-9]|Non-2xx/.test(stdout))
    throw new Error(`${program}: ${stdout}\n${stderr}`)
  return { seconds, cpuSeconds: user + system }
}

function median(list) {
  return [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]
}

function makeCertificates() {
  const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.crt'),
    '-days',
    '2',
    '-subj',
    '/CN=bench',
  )
  writeFileSync(at('names'), 'subjectAltName=DNS:gateway.kyma.local,IP:127.0.0.1\n')
  for (const [name, subject] of [
    ['server', '/CN=gateway.kyma.local'],
    ['client', '/CN=shop'],
  ]) {
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      at(`${name}.key`),
      '-out',
      at(`${name}.csr`),
      '-subj',
      subject,
    )
    openssl(
      'x509',
      '-req',
      '-in',
      at(`${name}.csr`),
      '-CA',
      at('ca.crt'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
      '-extfile',
      at('names'),
      '-days',
      '2',
      '-out',
      at(`${name}.crt`),
    )
  }
  writeFileSync(at('client.pem'), readFileSync(at('client.crt'), 'utf8') + readFileSync(at('client.key'), 'utf8'), {
    mode: 0o600,
  })
}

async function bundleLane() {
  await build({
    stdin: {
      contents: `export { Lane } from './src/transport/lane/lane.ts'
        export { Pipelining } from './src/transport/lane/pipelining.ts'
        export { noProxy } from './src/transport/proxy.ts'
        export { Pool } from 'undici'`,
      resolveDir: join(here, '..'),
    },
    outfile: at('lane.cjs'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
  })
}
