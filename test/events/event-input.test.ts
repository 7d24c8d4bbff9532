import { appendFileSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type EventInput, openInputFile, streamInput } from '../../src/events/event-input.js'
import { openReadable, streamOf } from '../../src/open-readable.js'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'input-'))
  path = join(folder, 'events.ndjson')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

async function readToEnd(input: EventInput): Promise<string> {
  const chunks: Buffer[] = []
  for (let chunk = await input.read(); chunk !== undefined; chunk = await input.read()) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** A file that is read by its path, or that standard input is redirected from. */
const ways: [string, () => Promise<EventInput>][] = [
  ['a file', () => openInputFile(path)],
  [
    'a redirected file',
    async () => {
      const opened = await openReadable(path)
      return streamInput(streamOf(opened), path, () => statSync(path, { bigint: true }))
    },
  ],
]

describe.each(ways)('%s', (_, openIt) => {
  test('is read to its end, with what is appended meanwhile', async () => {
    writeFileSync(path, 'x'.repeat(300_000))
    const input = await openIt()
    const first = await input.read()
    appendFileSync(path, 'yz')
    expect(`${first?.toString() ?? ''}${await readToEnd(input)}` === `${'x'.repeat(300_000)}yz`).toBe(true)
    await input.close()
  })

  test.each([0, 100])('that is truncated to %s bytes while it is read is an error', async (size) => {
    writeFileSync(path, 'x'.repeat(1_000_000))
    const input = await openIt()
    await input.read()
    truncateSync(path, size)
    await expect(readToEnd(input)).rejects.toMatchObject({ code: 'ERR_FILES', reason: 'truncated', details: { size } })
    await input.close()
  })

  test('that is empty has no bytes', async () => {
    writeFileSync(path, '')
    const input = await openIt()
    expect(await input.read()).toBeUndefined()
    await input.close()
  })
})

test.each([
  ['is missing', () => join(folder, 'none'), 'ENOENT', 'it does not exist'],
  ['is a folder', () => folder, 'EISDIR', 'it is a folder'],
])('an input that %s is an error that names it', async (_, named, reason, problem) => {
  await expect(openInputFile(named())).rejects.toMatchObject({
    code: 'ERR_FILES',
    reason,
    message: `${named()} cannot be read: ${problem}`,
  })
})

test('an input that the disk cannot read is an error that names it', async () => {
  // The kernel answers EIO for a part of a process's memory that is not mapped.
  const input = await openInputFile('/proc/self/mem')
  await expect(input.read()).rejects.toMatchObject({
    code: 'ERR_FILES',
    reason: 'EIO',
    message: '/proc/self/mem cannot be read: input/output error',
  })
  await input.close()
})

test('a standard input that is a folder is an error that names it', async () => {
  const input = streamInput(streamOf(await openReadable(folder)))
  await expect(input.read()).rejects.toMatchObject({ message: 'standard input cannot be read: it is a folder' })
  await input.close()
})
