import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Line } from '../../src/events/line-reader.js'
import { RejectsFile } from '../../src/events/rejects-file.js'

const lineAt = (offset: number, text: string | undefined): Line => {
  const bytes = Buffer.from(text ?? '')
  return new Line(offset, offset + 100, text === undefined ? undefined : bytes, offset / 100 + 1, {
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
    {
      offset: 0,
      lineNumber: 1,
      reason: 'event-type is missing',
      field: 'event-type',
      length: 100,
      line: '{"a":"é"}',
    },
    { offset: 100, lineNumber: 2, reason: 'too large', length: 100 },
    { offset: 200, lineNumber: 3, reason: 'Missing field', field: 'data', status: 400, length: 100, line: '{}' },
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

test('a line that is not UTF-8 is in Base64, and a line that is too long is in the input only', async () => {
  const bytes = Buffer.from('{"name":"Müller"}', 'latin1')
  const input = Buffer.concat([
    Buffer.from('\n'),
    bytes,
    Buffer.from('\r\n'),
    Buffer.alloc(70_000, 'x'),
    Buffer.from('\n'),
  ])
  const block = { bytes: input, offset: 0, before: Buffer.alloc(0) }
  const lines = [
    new Line(1, 1 + bytes.length + 2, bytes, 2, block),
    new Line(1 + bytes.length + 2, input.length, undefined, 3, block),
  ]
  await append(undefined, ...lines)
  const listed = entries() as { offset: number; length: number; line?: string; lineBase64?: string }[]
  expect(listed.map(({ line }) => line)).toEqual([undefined, undefined])
  expect(Buffer.from(listed[0]?.lineBase64 ?? '', 'base64').equals(bytes)).toBe(true)
  expect(listed[1]?.lineBase64).toBeUndefined()
  const cut = listed.map(({ offset, length }) => input.subarray(offset, offset + length))
  expect(Buffer.concat([input.subarray(0, 1), ...cut]).equals(input)).toBe(true)
  await append(0, ...lines)
  expect(entries().length).toBe(2)
})

test('an entry that a crash cut off is removed before the next one is appended, and not earlier', async () => {
  await append(undefined, lineAt(0, 'a'), lineAt(100, 'b'), lineAt(200, 'c'))
  const whole = readFileSync(path)
  const first = whole.indexOf('\n') + 1
  for (let length = first; length < whole.indexOf('\n', first); length++) {
    const torn = whole.subarray(0, length)
    writeFileSync(path, torn)
    await append(100)
    expect(readFileSync(path).equals(torn)).toBe(true)
    await append(100, lineAt(100, 'b'), lineAt(200, 'c'))
    expect(readFileSync(path).equals(whole)).toBe(true)
  }
})

test('an entry without a line break is kept, and not appended again', async () => {
  await append(undefined, lineAt(0, 'a'), lineAt(100, 'b'))
  writeFileSync(path, readFileSync(path).subarray(0, -1))
  await append(0, lineAt(100, 'b'), lineAt(200, 'c'))
  expect(offsets()).toEqual([0, 100, 200])
})

test('an entry that was cut off is removed from a file that holds nothing else', async () => {
  await append(undefined, lineAt(0, 'a'))
  const whole = readFileSync(path)
  writeFileSync(path, whole.subarray(0, -10))
  await append(undefined, lineAt(0, 'a'))
  expect(readFileSync(path).equals(whole)).toBe(true)
})

test.each([
  ['events', '{"event-type":"a"}\n'],
  ['text', 'x'],
  ['entries of something else', '{"offset":1,"v":1}\n{"offset":2,"v":2}'],
  ['one entry of something else', '{"offset":1,"v":1}'],
  ['the beginning of an entry of something else', '{"offset":1,"v'],
  ['so little that it may be anything', '{"offset":1'],
  ['an entry without a number', '{"offset":"1","lineNumber":1,"reason":"a","length":1}\n'],
  ['an entry without a length', '{"offset":1,"lineNumber":1,"reason":"a"}\n'],
  ['text after an entry', '{"offset":1,"lineNumber":1,"reason":"a","length":1}\nsecrets'],
  ['a long line', 'x'.repeat(3 * 1024 * 1024)],
])('a file that holds %s is refused, and stays as it is', async (_, content) => {
  writeFileSync(path, content)
  chmodSync(path, 0o644)
  await expect(RejectsFile.open(path, undefined)).rejects.toMatchObject({ code: 'ERR_FILES', reason: 'not-rejects' })
  expect(readFileSync(path, 'utf8') === content).toBe(true)
  expect(statSync(path).mode & 0o777).toBe(0o644)
})

test("a file of rejects that others could read is its owner's alone from then on", async () => {
  await append(undefined, lineAt(0, 'a'))
  chmodSync(path, 0o644)
  await append(undefined)
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('only what 1,024 open lines can have left is compared', async () => {
  await append(undefined, ...Array.from({ length: 3000 }, (_, index) => lineAt(index, 'x')))
  await append(2999 - 1023, ...Array.from({ length: 1024 }, (_, index) => lineAt(2999 - index, 'x')))
  expect(entries().length).toBe(3000)
})
