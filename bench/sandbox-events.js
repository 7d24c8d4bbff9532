// Measures what an event costs the sandbox: `events publish` sends a file of them, and Linux says how much CPU time the sandbox took
// meanwhile, TLS included. Prints the medians of all rounds, and whether the aim is met.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { eventBody } from './event-listener.js'

const program = join(dirname(fileURLToPath(import.meta.url)), '..', 'bin', 'kyconnect.js')
const rounds = Number(process.env.KYCONNECT_BENCH_EVENT_ROUNDS ?? 5)
const events = Number(process.env.KYCONNECT_BENCH_EVENTS ?? 50_000)
const aimMicroseconds = 100
const folder = mkdtempSync(join(tmpdir(), 'kyconnect-bench-sandbox-'))
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
  const env = { PATH: process.env.PATH, HOME: folder, ...ready.env }
  const kyconnect = (args, input = '') => {
    const { status, stderr } = spawnSync(process.execPath, [program, ...args], { env, input, encoding: 'utf8' })
    if (status !== 0) throw new Error(`kyconnect ${args.join(' ')} ended with ${status}: ${stderr}`)
  }
  kyconnect(['pair', '--url', '-'], ready.tokenUrls.demo)
  const file = join(folder, 'events.ndjson')
  writeFileSync(file, `${eventBody}\n`.repeat(events))
  const microseconds = []
  for (let round = 0; round < rounds; round++) {
    const before = sandboxCpuSeconds()
    kyconnect(['events', 'publish', '-f', file])
    microseconds.push(((sandboxCpuSeconds() - before) / events) * 1e6)
  }
  const answer = await fetch(`${ready.internalUrl}/sandbox/events?app=none`)
  const { accepted } = await answer.json()
  if (accepted !== rounds * events) throw new Error(`the sandbox accepted ${accepted} of ${rounds * events} events`)
  const median = microseconds.sort((a, b) => a - b)[rounds >> 1]
  console.log(`\nNode ${process.version}, ${cpus().length} cores, median of ${rounds} rounds of ${events} events\n`)
  console.log(
    `  CPU of an event in the sandbox, µs ${median.toFixed(1).padStart(7)}   aim at most ${aimMicroseconds}   ${median <= aimMicroseconds ? 'met' : 'missed'}`,
  )
}

/** User and system time of the sandbox's process, which Linux counts in hundredths of a second (proc_pid_stat(5)). */
function sandboxCpuSeconds() {
  const fields = readFileSync(`/proc/${sandbox.pid}/stat`, 'utf8').split(') ').at(-1).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}
