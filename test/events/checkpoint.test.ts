import type * as nodeFs from 'node:fs'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Checkpoint, type CheckpointDeps, syncEveryMs } from '../../src/events/checkpoint.js'
import { decodeSlot, encodeSlot, slotBytes } from '../../src/events/checkpoint-slot.js'
import { openInputFile, streamInput } from '../../src/events/event-input.js'
import { Line } from '../../src/events/line-reader.js'
import { openLines } from '../../src/events/open-lines.js'
import { FilesError, LockHeldError } from '../../src/errors.js'
import { processDeps } from './checkpoint-deps.js'

type WriteSync = (fd: number, bytes: Buffer, offset: number, length: number, place: number) => number

/** Takes the place of the system's write, where a test wants one that takes only a part. */
const partsOf = vi.hoisted((): { writeSync: WriteSync | undefined } => ({ writeSync: undefined }))
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof nodeFs>()
  const write: WriteSync = (...args) => (partsOf.writeSync ?? fs.writeSync)(...args)
  return { ...fs, writeSync: write }
})

const never = new AbortController().signal
const target = { source: 'demo', gatewayHost: 'gateway.kyma.local' }
const counts = { published: 1, ignored: 2, rejected: 3 }
const content = Buffer.from(Array.from({ length: 2000 }, (_, index) => `{"line":${index}}\n`).join(''))

let folder: string
let path: string
let inputPath: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'checkpoint-'))
  path = join(folder, 'checkpoint')
  inputPath = join(folder, 'events.ndjson')
  writeFileSync(inputPath, content)
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** A process that was killed: its checkpoints are not closed, and its lock counts as dead. */
const killed: CheckpointDeps = {
  ...processDeps,
  pid: 4_194_305,
  processIdentity: (pid) => Promise.resolve(pid === 4_194_305 ? undefined : 'alive'),
}

/** The line of the content that ends at or after an offset. */
function lineAt(offset: number): Line {
  const end = content.indexOf('\n', offset) + 1
  const number = content.subarray(0, end).toString().split('\n').length - 1
  return new Line(end - 1, end, undefined, number, { bytes: content, offset: 0, before: Buffer.alloc(0) })
}

/** Publishes up to an offset, and closes the checkpoint. */
async function publishUntil(offset: number): Promise<number> {
  const checkpoint = await Checkpoint.open(path, target, processDeps)
  const line = lineAt(offset)
  checkpoint.advance(line, counts)
  await checkpoint.close(true)
  return line.end
}

async function firstLine(opened = openInputFile(inputPath)): Promise<string | undefined> {
  const checkpoint = await Checkpoint.open(path, target, processDeps)
  const input = await opened
  try {
    const reader = await openLines(input, checkpoint, never)
    await reader.fill()
    return reader.take()?.bytes?.toString()
  } finally {
    await input.close()
    await checkpoint.close(true)
  }
}

const errorOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

describe('a checkpoint', () => {
  test('that is new begins at the beginning, with a seed that stays, in a file that only its owner can read', async () => {
    const first = await Checkpoint.open(path, target, processDeps)
    expect(first.found).toMatchObject({ offset: 0, counts: { published: 0, ignored: 0, rejected: 0 } })
    expect(first.found.seed).toMatch(/^[0-9a-f]{32}$/)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    await first.close(true)
    const second = await Checkpoint.open(path, target, processDeps)
    expect(second.found).toEqual(first.found)
    await second.close(true)
  })

  test('continues a file, a file that has grown, and a stream, after the last line that was published', async () => {
    const offset = await publishUntil(10_000)
    const expected = content.toString('utf8', offset, content.indexOf('\n', offset))
    expect(await firstLine()).toBe(expected)
    writeFileSync(inputPath, Buffer.concat([content, Buffer.from('{"line":"new"}\n')]))
    expect(await firstLine()).toBe(expected)
    const chunks = [content.subarray(0, 9_000), content.subarray(9_000, offset + 3), content.subarray(offset + 3)]
    expect(await firstLine(Promise.resolve(streamInput(Readable.from(chunks, { objectMode: true }))))).toBe(expected)
    const checkpoint = await Checkpoint.open(path, target, processDeps)
    expect(checkpoint.found.counts).toEqual(counts)
    await checkpoint.close(true)
  })

  test('refuses another input and a shorter one, and stays as it is', async () => {
    const offset = await publishUntil(10_000)
    const before = readFileSync(path)
    const other = Buffer.from(content)
    other.writeUInt8(0x58, offset - 4096)
    writeFileSync(inputPath, other)
    expect(await errorOf(firstLine())).toMatchObject({ code: 'ERR_FILES', reason: 'other-input' })
    other.set(content)
    // A byte that is further away than the hash reaches.
    other.writeUInt8(0x58, offset - 4097)
    writeFileSync(inputPath, other)
    expect(await firstLine()).toBeDefined()
    writeFileSync(inputPath, content.subarray(0, offset - 1))
    expect(await errorOf(firstLine())).toMatchObject({
      reason: 'other-input',
      message: `the checkpoint ${path} belongs to another input: it has ${offset - 1} bytes, but ${offset} bytes have already been published`,
    })
    // So short that reading would begin after its end.
    writeFileSync(inputPath, content.subarray(0, 100))
    expect(String(await errorOf(firstLine()))).toContain(`it has 100 bytes, but ${offset} bytes have already been`)
    const short = streamInput(Readable.from([content.subarray(0, offset - 1)], { objectMode: true }))
    expect(await errorOf(firstLine(Promise.resolve(short)))).toMatchObject({ reason: 'other-input' })
    expect(readFileSync(path).equals(before)).toBe(true)
  })

  test.each([
    ['a file of events', '{"event-type":"a"}\n'.repeat(10)],
    ['a large file', 'x'.repeat(10_000)],
    ['a checkpoint with both slots damaged', ' '.repeat(8192)],
  ])('is not what %s is, and leaves it alone', async (_, text) => {
    writeFileSync(path, text)
    expect(await errorOf(Checkpoint.open(path, target, processDeps))).toMatchObject({
      code: 'ERR_FILES',
      reason: 'not-a-checkpoint',
    })
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  test('that a crash left empty or full of zeros is a new one', async () => {
    for (const empty of [Buffer.alloc(0), Buffer.alloc(8192)]) {
      writeFileSync(path, empty)
      const checkpoint = await Checkpoint.open(path, target, processDeps)
      expect(checkpoint.found.offset).toBe(0)
      await checkpoint.close(true)
    }
  })

  test('in a folder that does not exist, or that is not ours, says so', async () => {
    expect(await errorOf(Checkpoint.open(join(folder, 'none', 'checkpoint'), target, processDeps))).toMatchObject({
      code: 'ERR_FILES',
      message: `could not open the checkpoint ${join(folder, 'none', 'checkpoint')}: the folder does not exist`,
    })
  })
})

describe('the state of a checkpoint', () => {
  const found = async (): Promise<Checkpoint['found']> => {
    const checkpoint = await Checkpoint.open(path, target, processDeps)
    await checkpoint.close(checkpoint.found.isComplete)
    return checkpoint.found
  }

  test('is complete until a run begins, and again once one has ended with all lines answered', async () => {
    expect((await found()).isComplete).toBe(true)
    for (const [isComplete, end] of [
      [false, undefined],
      [true, lineAt(500).end],
    ] as const) {
      const checkpoint = await Checkpoint.open(path, target, killed)
      await checkpoint.begin()
      const now = await Checkpoint.open(path, target, { ...processDeps, processIdentity: killed.processIdentity })
      expect(now.found.isComplete).toBe(false)
      await now.close(false)
      await checkpoint.close(false).catch(() => undefined)
      const next = await Checkpoint.open(path, target, processDeps)
      await next.begin()
      if (end !== undefined) next.advance(lineAt(500), counts)
      await next.close(isComplete)
      expect(await found()).toMatchObject({ isComplete, offset: end ?? 0 })
    }
  })

  test('counts lines, also when the last one gets its line break later', async () => {
    const input = streamInput(Readable.from([Buffer.from('a\n\nb')], { objectMode: true }))
    const checkpoint = await Checkpoint.open(path, target, processDeps)
    const reader = await openLines(input, checkpoint, never)
    while (await reader.fill()) {
      for (let line = reader.take(); line !== undefined; line = reader.take()) checkpoint.advance(line, counts)
    }
    await checkpoint.close(true)
    expect(await found()).toMatchObject({ offset: 4, lines: 3 })
    writeFileSync(inputPath, 'a\n\nb\nc\n')
    const next = await Checkpoint.open(path, target, processDeps)
    const rest = await openLines(await openInputFile(inputPath), next, never)
    await rest.fill()
    const line = rest.take()
    expect([line?.bytes?.toString(), line?.number]).toEqual(['c', 4])
    await next.close(true)
  })

  test.each([
    ['another App', { ...target, source: 'other' }],
    ['another gateway', { ...target, gatewayHost: 'gateway.other.local' }],
  ])('is refused for %s, and stays as it is', async (_, other) => {
    await publishUntil(100)
    const before = readFileSync(path)
    expect(await errorOf(Checkpoint.open(path, other, processDeps))).toMatchObject({
      code: 'ERR_FILES',
      reason: 'other-target',
      details: { checkpoint: path, ...other },
    })
    expect(readFileSync(path).equals(before)).toBe(true)
    await (await Checkpoint.open(path, target, processDeps)).close(true)
  })

  test('fits into a slot with the largest numbers', () => {
    const [hash, most] = ['f'.repeat(64), Number.MAX_SAFE_INTEGER]
    const mark = {
      offset: most,
      lines: most,
      tailHash: hash,
      seed: 'f'.repeat(32),
      target: 'f'.repeat(16),
      isComplete: false,
      counts: { published: most, ignored: most, rejected: most },
    }
    const slot = encodeSlot({ sequence: most, mark })
    expect(slot.length).toBe(slotBytes)
    expect(decodeSlot(slot)).toEqual({ sequence: most, mark })
  })
})

describe('the lock of a checkpoint', () => {
  test('keeps out a second process, by whatever path it names the file, until the first one closes it', async () => {
    const first = await Checkpoint.open(path, target, processDeps)
    const link = join(folder, 'link')
    symlinkSync(path, link)
    for (const name of [path, link]) {
      const error = await errorOf(Checkpoint.open(name, target, processDeps))
      expect(error).toBeInstanceOf(LockHeldError)
      expect(error).toMatchObject({ details: { pid: process.pid, hostname: 'here' } })
      expect(String(error)).toContain(`the checkpoint ${path} is in use by process ${process.pid} on here (since `)
    }
    await first.close(true)
    await (await Checkpoint.open(link, target, processDeps)).close(true)
  })

  test('of a process that was killed is taken over at once', async () => {
    const first = await Checkpoint.open(path, target, killed)
    const next = await Checkpoint.open(path, target, { ...processDeps, processIdentity: killed.processIdentity })
    await next.close(true)
    await first.close(true)
  })

  test('that was lost stops the process that had it within a second', async () => {
    let sync: () => void = () => undefined
    const first = await Checkpoint.open(path, target, {
      ...killed,
      after: (_, work) => ((sync = work), () => undefined),
    })
    await (await Checkpoint.open(path, target, { ...processDeps, processIdentity: killed.processIdentity })).close(true)
    first.advance(lineAt(100), counts)
    first.flush()
    sync()
    await vi.waitFor(() => {
      expect(() => {
        first.advance(lineAt(200), counts)
      }).toThrow(LockHeldError)
    }, 20_000)
    await first.close(true).catch(() => undefined)
  })
})

describe('the slots of a checkpoint', () => {
  test('give the new mark or the one before, wherever a write was cut off', async () => {
    await publishUntil(1000)
    const before = await publishUntil(2000)
    const old = readFileSync(path)
    const after = await publishUntil(3000)
    const whole = readFileSync(path)
    const start =
      [0, 4096].find(
        (place) => !whole.subarray(place, place + slotBytes).equals(old.subarray(place, place + slotBytes)),
      ) ?? -1
    expect(start).toBeGreaterThanOrEqual(0)
    const found = new Set<number>()
    for (let written = 0; written <= slotBytes; written++) {
      const torn = Buffer.from(old)
      whole.copy(torn, start + 0, start, start + written)
      writeFileSync(path, torn)
      const checkpoint = await Checkpoint.open(path, target, processDeps)
      const { offset } = checkpoint.found
      found.add(offset)
      if (written === 0) expect(offset).toBe(before)
      if (written === slotBytes) expect(offset).toBe(after)
      await checkpoint.close(true)
    }
    expect([...found]).toEqual([before, after])
  })

  test('survive any byte that changes', async () => {
    await publishUntil(1000)
    const marks = [await publishUntil(2000), await publishUntil(3000)]
    const whole = readFileSync(path)
    for (let place = 0; place < whole.length; place += 13) {
      const damaged = Buffer.from(whole)
      damaged.writeUInt8(whole.readUInt8(place) ^ 0x15, place)
      writeFileSync(path, damaged)
      const checkpoint = await Checkpoint.open(path, target, processDeps)
      expect(marks).toContain(checkpoint.found.offset)
      await checkpoint.close(true)
    }
  })
})

describe('a checkpoint is written', () => {
  test('once in a turn of the event loop, and synced once a second', async () => {
    const turns: (() => void)[] = []
    const timers: [number, () => void][] = []
    const checkpoint = await Checkpoint.open(path, target, {
      ...processDeps,
      onNextTurn: (work) => {
        turns.push(work)
      },
      after: (milliseconds, work) => {
        timers.push([milliseconds, work])
        return () => undefined
      },
    })
    const before = readFileSync(path)
    for (const offset of [100, 200, 300]) checkpoint.advance(lineAt(offset), counts)
    expect(turns.length).toBe(1)
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(checkpoint.writtenOffset).toBe(0)
    turns.pop()?.()
    expect(checkpoint.writtenOffset).toBe(lineAt(300).end)
    checkpoint.advance(lineAt(400), counts)
    turns.pop()?.()
    expect(timers.map(([milliseconds]) => milliseconds)).toEqual([syncEveryMs])
    // The file of rejects is synced right before the checkpoint.
    let syncs = 0
    checkpoint.syncFirst({
      sync: () => {
        syncs++
        return Promise.resolve()
      },
    })
    timers.pop()?.[1]()
    await vi.waitFor(() => {
      expect(syncs).toBe(1)
    }, 20_000)
    checkpoint.advance(lineAt(500), counts)
    turns.pop()?.()
    expect(timers.length).toBe(1)
    await checkpoint.close(true)
    const next = await Checkpoint.open(path, target, processDeps)
    expect(next.found.offset).toBe(lineAt(500).end)
    await next.close(true)
  })

  test('completely, although the system takes a part of it at a time', async () => {
    const { writeSync } = await vi.importActual<typeof nodeFs>('node:fs')
    partsOf.writeSync = (fd, bytes, offset, length, place) => writeSync(fd, bytes, offset, Math.min(100, length), place)
    try {
      const checkpoint = await Checkpoint.open(path, target, processDeps)
      checkpoint.advance(lineAt(100), counts)
      await checkpoint.close(true)
    } finally {
      partsOf.writeSync = undefined
    }
    const next = await Checkpoint.open(path, target, processDeps)
    expect(next.found.offset).toBe(lineAt(100).end)
    await next.close(true)
  })

  test('after the file of rejects is on disk', async () => {
    const order: string[] = []
    const checkpoint = await Checkpoint.open(path, target, processDeps)
    checkpoint.syncFirst({
      sync: () => {
        order.push('rejects')
        return Promise.resolve()
      },
    })
    checkpoint.advance(lineAt(100), counts)
    await checkpoint.close(true)
    expect(order).toEqual(['rejects'])
  })

  test('or else the next line reports why not', async () => {
    const checkpoint = await Checkpoint.open(path, target, processDeps)
    checkpoint.syncFirst({ sync: () => Promise.reject(new FilesError('no space left')) })
    checkpoint.advance(lineAt(100), counts)
    await expect(checkpoint.close(true)).rejects.toThrow('no space left')
    expect(existsSync(`${path}.lock`)).toBe(true)
    await (await Checkpoint.open(path, target, processDeps)).close(true)
  })
})
