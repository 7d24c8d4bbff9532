import { mkdtempSync, readlinkSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Checkpoint, syncEveryMs } from '../../src/events/checkpoint.js'
import { Line } from '../../src/events/line-reader.js'
import { RejectsFile } from '../../src/events/rejects-file.js'
import { processDeps } from './checkpoint-deps.js'

const target = { source: 'demo', gatewayHost: 'gateway.kyma.local' }
const counts = { published: 0, ignored: 0, rejected: 1 }
const refusal = { reason: 'event-type is missing', field: 'event-type', status: undefined }
const bytes = Buffer.from('{}\n')
const line = new Line(0, 3, bytes.subarray(0, 2), 1, { bytes, offset: 0, before: Buffer.alloc(0) })

let folder: string
/** What reaches the disk, in its order. */
let synced: string[]
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'durability-'))
  synced = []
  const handle = await open(folder)
  const prototype = Object.getPrototypeOf(handle) as FileHandle
  for (const name of ['sync', 'datasync'] as const) {
    const original = Object.getOwnPropertyDescriptor(prototype, name)?.value as FileHandle['sync']
    vi.spyOn(prototype, name).mockImplementation(async function (this: FileHandle) {
      const file = basename(readlinkSync(`/proc/self/fd/${this.fd}`))
      synced.push(`${file} begins`)
      await original.call(this)
      // A file that did not wait for this one would be ahead of it now.
      await sleep(20)
      synced.push(`${file} is on disk`)
    })
  }
  await handle.close()
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true })
})

const rejectsFirst = ['rejects begins', 'rejects is on disk', 'checkpoint begins', 'checkpoint is on disk']

/** A checkpoint that has passed a line which the file of rejects has taken. */
async function passRejected(): Promise<{ checkpoint: Checkpoint; rejects: RejectsFile; sync: () => void }> {
  const timers = new Map<number, () => void>()
  const after = (milliseconds: number, work: () => void): (() => void) => {
    timers.set(milliseconds, work)
    return () => undefined
  }
  const checkpoint = await Checkpoint.open(join(folder, 'checkpoint'), target, { ...processDeps, after })
  const rejects = await RejectsFile.open(join(folder, 'rejects'), undefined)
  checkpoint.syncFirst(rejects)
  await checkpoint.begin()
  synced.length = 0
  rejects.append(line, refusal)
  checkpoint.advance(line, counts)
  checkpoint.flush()
  expect(synced).toEqual([])
  return { checkpoint, rejects, sync: () => timers.get(syncEveryMs)?.() }
}

test('every second, the rejects reach the disk before the checkpoint that has passed their lines', async () => {
  const { checkpoint, rejects, sync } = await passRejected()
  sync()
  await vi.waitFor(() => {
    expect(synced).toEqual(rejectsFirst)
  }, 20_000)
  await checkpoint.close(true)
  await rejects.close()
})

test('at the end too', async () => {
  const { checkpoint, rejects } = await passRejected()
  await checkpoint.close(true)
  expect(synced).toEqual(rejectsFirst)
  await rejects.close()
  expect(synced).toEqual(rejectsFirst)
})

test('rejects reach the disk at the end without a checkpoint too, and only if there are any', async () => {
  const rejects = await RejectsFile.open(join(folder, 'rejects'), undefined)
  rejects.append(line, refusal)
  await rejects.close()
  expect(synced).toEqual(['rejects begins', 'rejects is on disk'])
  await (await RejectsFile.open(join(folder, 'rejects'), undefined)).close()
  expect(synced).toHaveLength(2)
})

test('a new checkpoint and its name are on disk before an event is sent', async () => {
  const checkpoint = await Checkpoint.open(join(folder, 'checkpoint'), target, processDeps)
  await checkpoint.begin()
  const name = basename(folder)
  expect(synced.slice(0, 4)).toEqual([
    'checkpoint begins',
    'checkpoint is on disk',
    `${name} begins`,
    `${name} is on disk`,
  ])
  expect(synced.slice(-2)).toEqual(['checkpoint begins', 'checkpoint is on disk'])
  expect(synced).toHaveLength(6)
  await checkpoint.close(true)
})
