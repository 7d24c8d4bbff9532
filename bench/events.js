// Measures `events publish` against ab, and against a call of curl for each event: through one NGINX with mutual TLS, to a listener that
// counts. Both sides of a ratio run in the same round, one after the other. Prints medians, and whether each aim is met.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { eventBody as body, startListener } from './event-listener.js'
import { startNginx } from './nginx.js'

const here = dirname(fileURLToPath(import.meta.url))
const program = join(here, '..', 'bin', 'kyconnect.js')
const rounds = Number(process.env.KYCONNECT_BENCH_EVENT_ROUNDS ?? 5)
/** Half of a large export: a run of 50,000 takes little more than a second, half of which is the start of the program. */
const events = Number(process.env.KYCONNECT_BENCH_EVENTS ?? 500_000)
/** Fewer, because each connection then answers 50 requests a second. */
const slowEvents = Number(process.env.KYCONNECT_BENCH_SLOW_EVENTS ?? 8000)
/** The memory of a run of so many is compared with that of a tenth of them. */
const memoryEvents = Number(process.env.KYCONNECT_BENCH_MEMORY_EVENTS ?? 1_000_000)
const curlEvents = 100
const folder = mkdtempSync(join(tmpdir(), 'kyconnect-bench-events-'))
const at = (name) => join(folder, name)
const children = []

try {
  if (spawnSync('ab', ['-V']).status !== 0)
    throw new Error('the bench of events needs ab: sudo apt-get install -y apache2-utils')
  const sandbox = start(process.execPath, [program, 'sandbox', '--state', at('state')])
  const ready = JSON.parse(await firstLine(sandbox))
  const env = { PATH: process.env.PATH, HOME: folder, KYCONNECT_HOME: at('home'), ...ready.env }
  run(env, process.execPath, [program, 'pair', '--url', '-'], ready.tokenUrls.demo)
  const { directory } = JSON.parse(run(env, process.execPath, [program, 'info', '--json']).stdout)
  const read = (name) => readFileSync(join(directory, name), 'utf8')
  writeFileSync(at('client.pem'), read('chain.crt') + read('key.pem'), { mode: 0o600 })
  writeFileSync(at('body.json'), body)
  // After the pairing, for which the sandbox has made the CA of the client certificates.
  const fast = await startGateway(0)
  const slow = await startGateway(20)
  await measure({ env, fast, slow, ready, directory })
} finally {
  for (const child of children.reverse()) {
    if (child.exitCode !== null) continue
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
}

async function measure({ env, fast, slow, ready, directory }) {
  const publish = (port, count, ...more) => {
    const file = at(`${count}.ndjson`)
    writeFileSync(file, `${body}\n`.repeat(count))
    return [
      { ...env, KYCONNECT_NODE_PORT: String(port) },
      process.execPath,
      [program, 'events', 'publish', '-f', file, ...more],
    ]
  }
  const ab = (port, count) => [
    env,
    'ab',
    [
      '-q',
      '-k',
      '-c',
      '16',
      '-n',
      String(count),
      '-E',
      at('client.pem'),
      '-p',
      at('body.json'),
      '-T',
      'application/json',
    ].concat(`https://127.0.0.1:${port}/demo/v1/events`),
  ]
  const curl = [
    ...['curl', '-sSf', '--resolve', `gateway.kyma.local:${fast.port}:127.0.0.1`, '--cacert', ready.caFile],
    ...['--cert', join(directory, 'chain.crt'), '--key', join(directory, 'key.pem'), '-o', '/dev/null'],
    ...[
      '-H',
      "'content-type: application/json'",
      '-d',
      `@${at('body.json')}`,
      `https://gateway.kyma.local:${fast.port}/demo/v1/events`,
    ],
  ].join(' ')
  const loop = `set -e; for number in $(seq ${curlEvents}); do ${curl}; done`
  const variants = {
    kyconnect: { count: events, command: publish(fast.port, events), received: fast.received },
    ab: { count: events, command: ab(fast.port, events), received: fast.received },
    'kyconnect, 20 ms': { count: slowEvents, command: publish(slow.port, slowEvents), received: slow.received },
    'ab, 20 ms': { count: slowEvents, command: ab(slow.port, slowEvents), received: slow.received },
    'a call of curl each': { count: curlEvents, command: [env, 'bash', ['-c', loop]], received: fast.received },
  }
  const results = Object.fromEntries(Object.keys(variants).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, { count, command, received }] of Object.entries(variants)) {
      const before = await received()
      const { seconds, cpuSeconds } = run(...command)
      const beyond = (await received()) - before - count
      results[name].push({ rate: count / seconds, cpu: (cpuSeconds / count) * 1e6, beyond })
    }
  }
  console.log(`\nNode ${process.version}, ${cpus().length} cores, medians of ${rounds} rounds\n`)
  const rate = (name) => median(results[name].map((result) => result.rate))
  const cpu = (name) => median(results[name].map((result) => result.cpu))
  for (const [name, list] of Object.entries(results)) {
    const beyond = Math.max(...list.map((result) => result.beyond))
    console.log(
      `  ${name.padEnd(20)} ${rate(name).toFixed(0).padStart(7)} events/s ${cpu(name).toFixed(1).padStart(8)} µs of CPU an event   received more than sent: ${beyond}`,
    )
  }
  const ratio = (one, other, get) =>
    median(results[one].map((result, round) => get(result) / get(results[other][round])))
  const rateOf = (result) => result.rate
  console.log('')
  atLeast('rate / ab (floor 0.90)', ratio('kyconnect', 'ab', rateOf), 1.0)
  atLeast('rate / ab, 20 ms upstream', ratio('kyconnect, 20 ms', 'ab, 20 ms', rateOf), 1.0)
  atMost(
    'CPU of an event / ab',
    ratio('kyconnect', 'ab', (result) => result.cpu),
    1.5,
  )
  atLeast('rate / a call of curl each', ratio('kyconnect', 'a call of curl each', rateOf), 100)

  const small = await peakMegabytes(publish(fast.port, memoryEvents / 10, '--checkpoint', at('small.checkpoint')))
  const large = await peakMegabytes(publish(fast.port, memoryEvents, '--checkpoint', at('large.checkpoint')))
  console.log(
    `\n  peak memory, with a checkpoint: ${small.toFixed(0)} MB for ${memoryEvents / 10} events, ${large.toFixed(0)} MB for ${memoryEvents}\n`,
  )
  atMost(`peak of ${memoryEvents} / of a tenth`, large / small, 1.3)
  atMost(`peak of ${memoryEvents} in MB`, large, 150)
}

function atLeast(name, value, aim) {
  verdict(name, value, `aim at least ${aim.toFixed(2)}`, value >= aim)
}

function atMost(name, value, aim) {
  verdict(name, value, `aim at most ${aim.toFixed(2)}`, value <= aim)
}

function verdict(name, value, aim, isMet) {
  console.log(`  ${name.padEnd(38)} ${value.toFixed(2).padStart(7)}   ${aim.padEnd(20)} ${isMet ? 'met' : 'missed'}`)
}

/** NGINX with the sandbox's CAs, before a listener that takes a time for each answer. */
async function startGateway(delayMs) {
  const { listener, upstreamPort, received } = await startListener(delayMs)
  children.push(listener)
  const [keyFile, csrFile, certificateFile, names] = ['server.key', 'server.csr', 'server.crt', 'names'].map(at)
  const ca = join(at('state'), 'server-ca.pem')
  writeFileSync(names, 'subjectAltName=DNS:gateway.kyma.local,IP:127.0.0.1\n')
  openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    keyFile,
    '-out',
    csrFile,
    '-subj',
    '/CN=gateway.kyma.local',
  )
  openssl(
    'x509',
    '-req',
    '-in',
    csrFile,
    '-CA',
    ca,
    '-CAkey',
    ca,
    '-CAcreateserial',
    '-extfile',
    names,
    '-days',
    '2',
    '-out',
    certificateFile,
  )
  const clientCaFile = join(at('state'), 'client-ca.pem')
  const { port, nginx } = await startNginx(folder, { upstreamPort, certificateFile, keyFile, clientCaFile })
  children.push(nginx)
  return { port, received }
}

function openssl(...args) {
  execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] })
}

function start(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  return child
}

async function firstLine(child) {
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return line
}

/** Runs a program to its end. @returns wall and CPU time, its start included */
function run(env, command, args, input = '') {
  const timed = ['-c', `TIMEFORMAT='%R %U %S'; time "$0" "$@"`, command, ...args]
  const { status, stdout, stderr } = spawnSync('bash', timed, {
    env,
    input,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status !== 0 || /Failed requests: +[1-9]|Non-2xx/.test(stdout))
    throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stdout}\n${stderr}`)
  const [seconds, user, system] = stderr.trim().split('\n').at(-1).split(' ').map(Number)
  return { seconds, cpuSeconds: user + system, stdout }
}

/** The most memory that a process had, as Linux counts it. */
async function peakMegabytes([env, command, args]) {
  const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  let peak = 0
  const watch = setInterval(() => {
    try {
      const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]
      peak = Math.max(peak, Number(kilobytes ?? 0) / 1024)
    } catch {
      // It has ended.
    }
  }, 50)
  const [code] = await once(child, 'exit')
  clearInterval(watch)
  if (code !== 0) throw new Error(`the run whose memory is measured ended with ${code}`)
  return peak
}

function median(list) {
  return [...list].sort((a, b) => a - b)[list.length >> 1]
}
