/** Reads, checks and remembers lines in a process that is killed again and again. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { maxOpenLines } from '../../src/events/window.js'
import { temporaryFolder } from '../support/certificates.js'
import { root } from '../support/kyconnect.js'

const lineCount = 60_000
const kills = 12

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let worker: string

beforeAll(async () => {
  folder = await temporaryFolder('events-killed')
  worker = join(folder.path, 'worker.mjs')
  await build({
    entryPoints: [join(root, 'test', 'events', 'publish-worker.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: worker,
    logLevel: 'silent',
  })
})
afterAll(() => folder.remove())

const pathOf = (name: string): string => join(folder.path, name)
const linesOf = (name: string): string[] => readFileSync(pathOf(name), 'utf8').split('\n').slice(0, -1)
const sizeOf = (name: string): number => (existsSync(pathOf(name)) ? statSync(pathOf(name)).size : 0)

/** Runs the worker until it ends, or kills it once it has got further by so many bytes. */
async function run(killAfterBytes: number): Promise<string> {
  const startedAt = sizeOf('received')
  const child = spawn(process.execPath, [worker, folder.path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const watch = setInterval(() => {
    if (sizeOf('received') - startedAt > killAfterBytes) child.kill('SIGKILL')
  }, 1)
  const [code] = (await once(child, 'exit')) as [number | null]
  clearInterval(watch)
  expect(code === 0 || child.signalCode === 'SIGKILL').toBe(true)
  return code === 0 ? output : ''
}

test('no line is lost by a kill -9, few are repeated and with the same id, and each refused line is listed once', async () => {
  const events = Array.from({ length: lineCount }, (_, index) => {
    const version = index % 50 === 0 ? 'too-long' : 'v1'
    return `{"event-type":"order.created","event-type-version":"${version}","event-time":"2019-04-11T08:30:00Z","data":${index}}\n`
  })
  writeFileSync(pathOf('events.ndjson'), events.join(''))

  let repeated = 0
  let killed = 0
  for (let output = ''; output === '';) {
    const before = existsSync(pathOf('received')) ? linesOf('received').length : 0
    // Each line of `received` takes about 45 bytes.
    output = await run(killed < kills ? 45 * Math.random() * (lineCount / kills) : Infinity)
    if (output === '') killed++
    else expect(JSON.parse(output)).toEqual({ published: lineCount * 0.98, ignored: 0, rejected: lineCount * 0.02 })
    const received = linesOf('received')
    const known = new Set(received.slice(0, before))
    // The same line in the same form: its offset and its id.
    const again = received.slice(before).filter((line) => known.has(line)).length
    expect(again).toBeLessThanOrEqual(maxOpenLines)
    repeated += again
  }
  expect(killed).toBeGreaterThanOrEqual(kills / 2)
  expect(repeated).toBeGreaterThan(0)

  const offsets = new Set(linesOf('received').map((line) => line.split(' ')[0]))
  const ids = new Set(linesOf('received').map((line) => line.split(' ')[1]))
  expect([offsets.size, ids.size]).toEqual([lineCount * 0.98, lineCount * 0.98])
  const rejects = linesOf('rejects').map((line) => JSON.parse(line) as { offset: number; line: string })
  expect(rejects.map(({ line }) => line).sort()).toEqual(
    events
      .filter((_, index) => index % 50 === 0)
      .map((line) => line.trimEnd())
      .sort(),
  )
  expect(new Set(rejects.map(({ offset }) => offset)).size).toBe(rejects.length)
})
