// The main job on a local Kyma, step by step: what a new user would type, and what comes of it.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const program = join(dirname(fileURLToPath(import.meta.url)), 'bin', 'kyconnect.js')
const folder = mkdtempSync(join(tmpdir(), 'kyconnect-demo-'))
const started = Date.now()
let step = 0
let sandbox

function say(text) {
  process.stdout.write(`\n${++step}. ${text}\n`)
}

/** Shows a command as it would be typed, runs it, shows what it prints, and stops the demo when it fails. */
function type(args, env, input) {
  process.stdout.write(`   $ ${input === undefined ? '' : 'echo "$TOKEN_URL" | '}kyconnect ${args.join(' ')}\n`)
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    env: { ...process.env, ...env },
    input: input ?? '',
    encoding: 'utf8',
    timeout: 30_000,
  })
  const shown = `${stderr}${stdout}`
    .trimEnd()
    .split('\n')
    .map((line) => `   ${line}\n`)
    .join('')
  process.stdout.write(shown)
  if (status !== 0) throw new Error(`kyconnect ${args[0]} ended with ${status}`)
  return stdout
}

try {
  say('A local Kyma: kyconnect sandbox')
  sandbox = spawn(process.execPath, [program, 'sandbox'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await Promise.race([
    once(createInterface({ input: sandbox.stdout }), 'line'),
    once(sandbox, 'exit').then(() => Promise.reject(new Error('the sandbox did not start'))),
  ])
  const ready = JSON.parse(line)
  const env = { ...ready.env, KYCONNECT_HOME: join(folder, 'home') }
  process.stdout.write(`   up: Connector ${ready.connectorUrl}, gateway on port ${ready.gatewayPort}\n`)

  say('Pair: from the one-time token URL to a stored certificate')
  type(['pair', '--app', 'demo', '--url', '-'], env, ready.tokenUrls.demo)

  say('Look at what is stored')
  type(['info'], env)

  say('Register a service')
  const service = join(folder, 'service.json')
  writeFileSync(
    service,
    JSON.stringify({
      provider: 'Shop Ltd',
      name: 'orders',
      description: 'The orders of the shop',
      api: { targetUrl: 'https://shop.example.com/orders' },
      events: { spec: { asyncapi: '2.0.0', info: { title: 'Orders', version: '1' }, channels: {} } },
    }),
  )
  type(['call', 'metadata', '-d', `@${service}`], env)

  say('List the services of the App')
  type(['call', 'metadata'], env)

  say('Send an event')
  const event = join(folder, 'event.json')
  writeFileSync(
    event,
    JSON.stringify({
      'event-type': 'order.created',
      'event-type-version': 'v1',
      'event-time': new Date().toISOString(),
      data: { order: 4711 },
    }),
  )
  type(['call', 'events', '-d', `@${event}`], env)
  process.stdout.write(`\nDone in ${((Date.now() - started) / 1000).toFixed(1)} s; everything it made is gone again.\n`)
} catch (error) {
  process.stderr.write(`\nThe demo failed: ${error.message}\n`)
  process.exitCode = 1
} finally {
  if (sandbox !== undefined && sandbox.exitCode === null) {
    sandbox.kill('SIGTERM')
    await once(sandbox, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
}
