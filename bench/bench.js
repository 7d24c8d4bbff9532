// Measures how long a user waits: runs every variant once per round, and prints the medians of all rounds.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const program = join(here, '..', 'bin', 'kyconnect.js')
const rounds = Number(process.env.KYCONNECT_BENCH_ROUNDS ?? 30)
const folder = mkdtempSync(join(tmpdir(), 'kyconnect-bench-'))
const sandbox = spawn(process.execPath, [program, 'sandbox'], { stdio: ['ignore', 'pipe', 'inherit'] })

try {
  const [line] = await once(createInterface({ input: sandbox.stdout }), 'line')
  await measure(JSON.parse(line))
} finally {
  if (sandbox.exitCode === null) {
    sandbox.kill('SIGTERM')
    await once(sandbox, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
}

async function measure(ready) {
  const home = join(folder, 'home')
  mkdirSync(home)
  const env = { PATH: process.env.PATH, HOME: home, NODE_PORT: String(ready.gatewayPort), ...ready.env }
  const { hostname, port } = new URL(ready.connectorUrl)
  const rules = [`${hostname}:${port}:127.0.0.1`, `gateway.kyma.local:${ready.gatewayPort}:127.0.0.1`]
  writeFileSync(
    join(folder, 'curlrc'),
    [`cacert = "${ready.caFile}"`, ...rules.map((rule) => `resolve = "${rule}"`), 'silent', 'show-error', 'fail'].join(
      '\n',
    ),
  )
  const key = join(folder, 'given.key')
  run(env, 'openssl', ['genrsa', '-out', key, '2048'])

  const kyconnect = (...args) => run(env, process.execPath, [program, ...args])
  const tutorial = (...more) => run(env, 'bash', [join(here, 'tutorial.sh'), token(ready), folder, ...more])
  const pair = (...more) => run(env, process.execPath, [program, 'pair', '--force', ...more], token(ready))
  const stored = JSON.parse(kyconnectOutput(env, ['pair', '--json', '--url', '-'], token(ready)))
  const at = (name) => join(stored.directory, name)
  const many = { ...env, KYCONNECT_HOME: manyIdentities(dirname(stored.directory)) }

  const variants = {
    'node -e 0': () => run(env, process.execPath, ['-e', '0']),
    'kyconnect --version': () => kyconnect('--version'),
    'kyconnect --help': () => kyconnect('--help'),
    'curl management/info': () =>
      run(env, 'curl', [
        '-K',
        join(folder, 'curlrc'),
        '--cert',
        at('chain.crt'),
        '--key',
        at('key.pem'),
        stored.calledUrls.infoUrl,
      ]),
    'kyconnect info': () => kyconnect('info'),
    'tutorial script, given key': () => tutorial(key),
    'kyconnect pair, given key': () => pair('--url', '-', '--key-file', key),
    'tutorial script': () => tutorial(),
    'kyconnect pair': () => pair('--url', '-'),
    'status, 1,000': () => run(many, process.execPath, [program, 'status']),
  }
  const kubectl = findKubectl(env)
  if (kubectl !== undefined) {
    variants['kubectl + tutorial script'] = () => run(env, 'bash', [join(here, 'cluster.sh'), kubectl, 'demo', folder])
    variants['kyconnect pair --app'] = () =>
      run(env, process.execPath, [program, 'pair', '--force', '--app', 'demo', '--node-port', 'auto'])
  }
  // A first round that does not count: it reads files into memory, and fills the cache of compiled code.
  for (const variant of Object.values(variants)) variant()
  const times = Object.fromEntries(Object.keys(variants).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, variant] of Object.entries(variants)) times[name].push(variant())
  }
  report(times)
}

function report(times) {
  const median = Object.fromEntries(
    Object.entries(times).map(([name, list]) => [name, list.sort((a, b) => a - b)[list.length >> 1]]),
  )
  console.log(`\nNode ${process.version}, ${cpus().length} cores, medians of ${rounds} rounds\n`)
  for (const [name, list] of Object.entries(times)) {
    console.log(
      `  ${name.padEnd(28)} ${median[name].toFixed(1).padStart(7)} ms   (${list[0].toFixed(1)} to ${list.at(-1).toFixed(1)})`,
    )
  }
  const nothing = median['node -e 0']
  const rows = [
    ['--version / node -e 0', median['kyconnect --version'] / nothing, 1.15],
    ['--help / node -e 0', median['kyconnect --help'] / nothing, 1.35],
    ['info / (node -e 0 + curl)', median['kyconnect info'] / (nothing + median['curl management/info']), 1.8],
    ['pair / tutorial, given key', median['kyconnect pair, given key'] / median['tutorial script, given key'], 1.5],
    ['pair / tutorial, with key generation', median['kyconnect pair'] / median['tutorial script'], 1.0],
    // 50 µs for each identity.
    ['status of 1,000 / (node -e 0 + 50 ms)', median['status, 1,000'] / (nothing + 50), 1.35],
  ]
  if (median['kyconnect pair --app'] !== undefined) {
    const ratio = median['kyconnect pair --app'] / median['kubectl + tutorial script']
    rows.push(['pair --app / kubectl + tutorial', ratio, 1.0])
  }
  console.log('')
  for (const [name, ratio, aim] of rows) {
    console.log(`  ${name.padEnd(38)} ${ratio.toFixed(2)}   aim ${aim.toFixed(2)}   ${ratio <= aim ? 'met' : 'missed'}`)
  }
}

/** A home with 1,000 copies of an identity, none of them due. @returns the home */
function manyIdentities(profile) {
  const home = join(folder, 'many')
  mkdirSync(home, { mode: 0o700 })
  for (let copy = 0; copy < 1000; copy++)
    cpSync(profile, join(home, `${basename(profile)}-${copy}`), { recursive: true, verbatimSymlinks: true })
  return home
}

/** The machine's own, else the one that the tests unpacked; without one, what needs it is left out. */
function findKubectl(env) {
  const unpacked = join(here, '..', 'node_modules', '.cache', 'kubernetes-client', 'usr', 'bin', 'kubectl')
  return ['kubectl', unpacked].find((candidate) => spawnSync(candidate, ['version', '--client'], { env }).status === 0)
}

/** A fresh token URL; fetching it is not part of what is measured. */
function token(ready) {
  const { stdout } = spawnSync('curl', [
    '-sS',
    '-X',
    'POST',
    '-H',
    'Application: demo',
    `${ready.internalUrl}/v1/applications/tokens`,
  ])
  return JSON.parse(stdout.toString()).url
}

/** Runs a process to its end. @returns milliseconds */
function run(env, command, args, input = '') {
  const started = process.hrtime.bigint()
  const { status, stderr } = spawnSync(command, args, { env, input, timeout: 60_000 })
  const milliseconds = Number(process.hrtime.bigint() - started) / 1e6
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr.toString()}`)
  return milliseconds
}

function kyconnectOutput(env, args, input) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { env, input, timeout: 60_000 })
  if (status !== 0) throw new Error(stderr.toString())
  return stdout.toString()
}
