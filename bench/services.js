// Measures `services apply` on 500 services against one call of curl for each: new ones, and unchanged ones.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const program = join(here, '..', 'bin', 'kyconnect.js')
const rounds = Number(process.env.KYCONNECT_BENCH_SERVICE_ROUNDS ?? 5)
const count = 500
const folder = mkdtempSync(join(tmpdir(), 'kyconnect-bench-services-'))
const sandbox = spawn(process.execPath, [program, 'sandbox'], { stdio: ['ignore', 'pipe', 'inherit'] })

try {
  const [line] = await once(createInterface({ input: sandbox.stdout }), 'line')
  measure(JSON.parse(line))
} finally {
  if (sandbox.exitCode === null) {
    sandbox.kill('SIGTERM')
    await once(sandbox, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
}

function measure(ready) {
  const env = { PATH: process.env.PATH, HOME: folder, KYCONNECT_HOME: join(folder, 'home'), ...ready.env }
  run(env, process.execPath, [program, 'pair', '--url', '-'], ready.tokenUrls.demo)
  const { directory, calledUrls } = JSON.parse(run(env, process.execPath, [program, 'info', '--json']).stdout)
  const files = join(folder, 'files')
  const bodies = join(folder, 'bodies')
  mkdirSync(files)
  mkdirSync(bodies)
  for (let index = 0; index < count; index++) {
    const service = {
      identifier: `service-${index}`,
      provider: 'Shop Ltd',
      name: `Service ${index}`,
      description: 'One of many',
      api: { targetUrl: `https://shop.example.com/${index}` },
    }
    const { api, ...texts } = service
    const yaml = Object.entries(texts).map(([name, value]) => `${name}: ${value}\n`)
    writeFileSync(join(files, `${index}.yaml`), `${yaml.join('')}api:\n  targetUrl: ${api.targetUrl}\n`)
    writeFileSync(join(bodies, `${index}.json`), JSON.stringify(service))
  }
  const { gatewayPort, caFile } = ready
  const curl = [
    ...['curl', '-sSf', '--resolve', `gateway.kyma.local:${gatewayPort}:127.0.0.1`, '--cacert', caFile],
    ...['--cert', join(directory, 'chain.crt'), '--key', join(directory, 'key.pem'), '-o', '/dev/null'],
  ].join(' ')
  const url = calledUrls.metadataUrl
  const script = `for file in ${bodies}/*.json; do ${curl} -H 'content-type: application/json' -d @"$file" ${url}; done`
  const apply = [program, 'services', 'apply', '-f', files, '--yes']
  const deleteAll = () => {
    const { services } = JSON.parse(run(env, process.execPath, [program, 'services', 'list', '--json']).stdout)
    if (services.length !== count) throw new Error(`${services.length} services are registered, not ${count}`)
    run(env, process.execPath, [program, 'services', 'delete', '--yes', ...services.map(({ id }) => id)])
  }
  const times = { 'curl, a call for each': [], 'apply, new': [], 'apply, unchanged': [] }
  for (let round = 0; round < rounds; round++) {
    times['curl, a call for each'].push(run(env, 'bash', ['-c', `set -e; ${script}`]).ms)
    deleteAll()
    times['apply, new'].push(run(env, process.execPath, apply).ms)
    times['apply, unchanged'].push(run(env, process.execPath, apply).ms)
    deleteAll()
  }
  const median = (name) => times[name].sort((a, b) => a - b)[times[name].length >> 1]
  console.log(`\n${count} services, Node ${process.version}, medians of ${rounds} rounds\n`)
  for (const name of Object.keys(times)) console.log(`  ${name.padEnd(28)} ${median(name).toFixed(1).padStart(8)} ms`)
  console.log('')
  for (const [name, aim] of [
    ['apply, new', 0.15],
    ['apply, unchanged', 0.035],
  ]) {
    const ratio = median(name) / median('curl, a call for each')
    const verdict = ratio <= aim ? 'met' : 'missed'
    console.log(`  ${`${name} / curl`.padEnd(38)} ${ratio.toFixed(3)}   aim ${aim.toFixed(3)}   ${verdict}`)
  }
}

/** Runs a process to its end. */
function run(env, command, args, input = '') {
  const started = process.hrtime.bigint()
  const { status, stdout, stderr } = spawnSync(command, args, { env, input, maxBuffer: 64 * 1024 * 1024 })
  const ms = Number(process.hrtime.bigint() - started) / 1e6
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr.toString()}`)
  return { ms, stdout: stdout.toString() }
}
