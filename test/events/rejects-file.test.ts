import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Line } from '../../src/events/line-reader.js'
import { RejectsFile } from '../../src/events/rejects-file.js'

const lineAt = (offset: number, text: string | undefined): Line => {
  const bytes = Buffer.from(text ?? '')
  return new Line(offset, offset + 100, text === undefined ? undefined : bytes, 1, {
    bytes,
    offset,
    before: Buffer.alloc(0),
  })
}
const refusal = { reason: 'event-type is missing', field: 'event-type', status: undefined }

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rejects-'))
  path = join(folder, 'rejects')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const entries = (): unknown[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line): unknown => JSON.parse(line))
const offsets = (): unknown[] => entries().map((entry) => (entry as { offset: number }).offset)
async function append(resumedAt: number | undefined, ...lines: Line[]): Promise<void> {
  const file = await RejectsFile.open(path, resumedAt)
  for (const line of lines) file.append(line, refusal)
  await file.close()
}

test('a refused line is listed with its offset and the reason, in a file that only its owner can read', async () => {
  const file = await RejectsFile.open(path, undefined)
  file.append(lineAt(0, '{"a":"é"}'), refusal)
  file.append(lineAt(100, undefined), { reason: 'too large', field: undefined, status: undefined })
  file.append(lineAt(200, '{}'), { reason: 'Missing field', field: 'data', status: 400 })
  await file.close()
  expect(entries()).toEqual([
    { offset: 0, reason: 'event-type is missing', field: 'event-type', line: '{"a":"é"}' },
    { offset: 100, reason: 'too large', length: 100 },
    { offset: 200, reason: 'Missing field', field: 'data', status: 400, line: '{}' },
  ])
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('a run that is continued lists again neither what the killed one listed nor loses what it did not', async () => {
  await append(undefined, lineAt(0, 'a'), lineAt(300, 'd'), lineAt(100, 'b'))
  await append(100, lineAt(100, 'b'), lineAt(200, 'c'), lineAt(300, 'd'), lineAt(400, undefined))
  await append(400, lineAt(400, undefined))
  expect(offsets()).toEqual([0, 300, 100, 200, 400])
})

test('another line at the same offset is listed, and so is each line of a new run', async () => {
  await append(undefined, lineAt(100, 'b'))
  await append(100, lineAt(100, 'other'))
  await append(undefined, lineAt(100, 'b'))
  expect(offsets()).toEqual([100, 100, 100])
})

test('an entry that a crash cut off is removed', async () => {
  await append(undefined, lineAt(0, 'a'), lineAt(100, 'b'))
  const whole = readFileSync(path)
  const first = whole.indexOf('\n') + 1
  for (let length = first; length < whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length))
    await append(100, lineAt(100, 'b'))
    expect(readFileSync(path).equals(whole)).toBe(true)
  }
})

test('a file that holds something else is refused and left alone', async () => {
  for (const content of ['{"event-type":"a"}\n', 'x', '{"offset":1}\nsecrets']) {
    writeFileSync(path, content)
    await expect(RejectsFile.open(path, undefined)).rejects.toMatchObject({ code: 'ERR_FILES', reason: 'not-rejects' })
    expect(readFileSync(path, 'utf8')).toBe(content)
  }
})

test('only what 1,024 open lines can have left is compared', async () => {
  await append(undefined, ...Array.from({ length: 3000 }, (_, index) => lineAt(index, 'x')))
  await append(2999 - 1023, ...Array.from({ length: 1024 }, (_, index) => lineAt(2999 - index, 'x')))
  expect(entries().length).toBe(3000)
})
