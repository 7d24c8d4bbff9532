import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type EventInput, openInputFile, streamInput } from '../../src/events/event-input.js'
import { InputEndedEarly } from '../../src/events/input-ended-early.js'
import { type Line, LineReader, tailBytes } from '../../src/events/line-reader.js'

const never = new AbortController().signal

async function linesOf(input: EventInput, startAt = 0, linesBefore = 0, maxLineBytes = 20): Promise<Line[]> {
  const reader = await LineReader.open(input, { startAt, linesBefore, maxLineBytes, signal: never })
  const lines: Line[] = []
  do {
    for (let line = reader.take(); line !== undefined; line = reader.take()) lines.push(line)
  } while (await reader.fill())
  await input.close()
  return lines
}

const inputOf = (...chunks: (string | Buffer)[]): EventInput =>
  streamInput(
    Readable.from(
      chunks.map((chunk) => Buffer.from(chunk)),
      { objectMode: true },
    ),
  )
const textsOf = (lines: readonly Line[]): (string | undefined)[] => lines.map(({ bytes }) => bytes?.toString())

/** Splits content at these places. */
function chunksOf(content: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [
    0,
    ...[...places].sort((a, b) => a - b).map((place) => place % (content.length + 1)),
    content.length,
  ].sort((a, b) => a - b)
  return cuts
    .slice(1)
    .map((cut, index) => content.subarray(cuts[index], cut))
    .filter(({ length }) => length > 0)
}

/** What the lines of an input should be, found in another way: by splitting all of it. */
function expectedLines(
  content: Buffer,
  maxLineBytes: number,
): { offset: number; end: number; number: number; text: string | undefined }[] {
  let offset = 0
  return content
    .toString('latin1')
    .split(/(?<=\n)/)
    .flatMap((raw, index) => {
      const start = offset
      offset += raw.length
      const text = raw
        .replace(/\n$/, '')
        .replace(/\r$/, '')
        .replace(start === 0 ? /^\u00ef\u00bb\u00bf/ : /^(?!)/, '')
      if (/^[ \t]*$/.test(text)) return []
      return [{ offset: start, end: offset, number: index + 1, text: text.length > maxLineBytes ? undefined : text }]
    })
}

const pieces = fc.constantFrom(
  '\n',
  '\r\n',
  '\n\n',
  ' \n',
  '\uFEFF',
  'a',
  '{"b":1}',
  '\r',
  'é',
  'x'.repeat(19),
  'x'.repeat(20),
  'x'.repeat(21),
  'x'.repeat(60),
)
const contents = fc.array(pieces, { maxLength: 12 }).map((parts) => Buffer.from(parts.join('')))

describe('the lines of an input', () => {
  test('are the same however its bytes arrive', async () => {
    await fc.assert(
      fc.asyncProperty(contents, fc.array(fc.nat(), { maxLength: 8 }), async (content, places) => {
        const lines = await linesOf(inputOf(...chunksOf(content, places)))
        const found = lines.map(({ offset, end, number, bytes }) => ({
          offset,
          end,
          number,
          text: bytes?.toString('latin1'),
        }))
        const expected = expectedLines(content, 20)
        // A blank line that is too long is not kept, so that it is not known to be blank; none is generated.
        expect(found).toEqual(expected)
        for (const line of lines)
          expect(line.tail().equals(content.subarray(Math.max(0, line.end - tailBytes), line.end))).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  test('are those after an offset if reading begins there, with the bytes before it', async () => {
    await fc.assert(
      fc.asyncProperty(contents, fc.array(fc.nat(), { maxLength: 8 }), fc.nat(), async (content, places, pick) => {
        const all = await linesOf(inputOf(content))
        const { end: startAt, number } = all[pick % (all.length || 1)] ?? { end: 0, number: 0 }
        const rest = await linesOf(inputOf(...chunksOf(content, places)), startAt, number)
        expect(rest.map(({ offset, end, number }) => [offset, end, number])).toEqual(
          all.filter(({ offset }) => offset >= startAt).map(({ offset, end, number }) => [offset, end, number]),
        )
      }),
      { numRuns: 300 },
    )
  })

  test('keep their numbers when the input has grown after a last line without a line break', async () => {
    const content = 'one\n\nthree'
    const [, last] = await linesOf(inputOf(content))
    expect(last).toMatchObject({ number: 3, end: content.length })
    for (const more of ['\n', '\r\n']) {
      const rest = await linesOf(inputOf(`${content}${more}four\n`), content.length, 3)
      expect(rest.map(({ bytes, number }) => [bytes?.toString(), number])).toEqual([['four', 4]])
    }
  })

  test('include a last line without a line break, and neither blank lines nor a byte-order mark', async () => {
    expect(textsOf(await linesOf(inputOf('\uFEFFone\r\n', '\n \r\n\t\n', 'two')))).toEqual(['one', 'two'])
  })

  test('of a file are read from an offset without reading what comes before', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lines-'))
    try {
      const path = join(folder, 'events.ndjson')
      const content = Buffer.from(Array.from({ length: 50_000 }, (_, index) => `line ${index}\n`).join(''))
      writeFileSync(path, content)
      const all = await linesOf(await openInputFile(path))
      expect(all.length).toBe(50_000)
      const { end: startAt } = all[40_000] ?? { end: 0 }
      const input = await openInputFile(path)
      expect(input.size).toBe(content.length)
      const reader = await LineReader.open(input, { startAt, linesBefore: 40_001, maxLineBytes: 20, signal: never })
      expect(reader.tailAtStart.equals(content.subarray(startAt - tailBytes, startAt))).toBe(true)
      await reader.fill()
      const line = reader.take()
      expect([line?.bytes?.toString(), line?.number]).toEqual(['line 40001', 40_002])
      await input.close()
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('cannot be read from an offset after the end', async () => {
    await expect(linesOf(inputOf('one\n'), 5)).rejects.toThrow(InputEndedEarly)
    expect(await linesOf(inputOf('one\n'), 4)).toEqual([])
  })

  test('of any length take no memory', async () => {
    const chunkBytes = 1024 * 1024
    const endless = streamInput(
      Readable.from(
        (function* () {
          for (let index = 0; index < 500; index++) yield Buffer.alloc(chunkBytes, 'x')
          yield Buffer.from('\nshort\n')
        })(),
        { objectMode: true },
      ),
    )
    const before = process.memoryUsage.rss()
    const lines = await linesOf(endless)
    expect(textsOf(lines)).toEqual([undefined, 'short'])
    expect(lines[0]).toMatchObject({ offset: 0, end: 500 * chunkBytes + 1 })
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024)
  })

  test('are no longer waited for once the signal is aborted, and neither is what closes their input', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lines-'))
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    // A FIFO that is open for writing, and to which nothing is written.
    const writer = openSync(fifo, constants.O_RDWR)
    try {
      for (const silent of [streamInput(new Readable({ read: () => undefined })), await openInputFile(fifo)]) {
        const abort = new AbortController()
        const reader = await LineReader.open(silent, {
          startAt: 0,
          linesBefore: 0,
          maxLineBytes: 20,
          signal: abort.signal,
        })
        const waiting = reader.fill()
        abort.abort(new Error('interrupted'))
        await expect(waiting).rejects.toThrow('interrupted')
        await expect(reader.fill()).rejects.toThrow('interrupted')
        await silent.close()
      }
    } finally {
      closeSync(writer)
      rmSync(folder, { recursive: true })
    }
  })

  test.each([
    ['has opened it before', `exec 3<>"$1"; printf 'one\\ntwo' >&3`, 'true', ['one', 'two']],
    ['opens it later', 'true', `printf 'one\\ntwo' > "$1"`, ['one', 'two']],
    ['opens it, and writes nothing', 'true', ': > "$1"', []],
  ])('of a FIFO are waited for until a program that %s closes it', async (_, before, later, expected) => {
    const folder = mkdtempSync(join(tmpdir(), 'lines-'))
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    const script = `${before}; echo; exec sleep 600`
    const writer = spawn('bash', ['-c', script, 'bash', fifo], { stdio: ['ignore', 'pipe', 'ignore'] })
    const ended = once(writer, 'exit')
    try {
      await once(writer.stdout, 'data')
      const reading = linesOf(await openInputFile(fifo))
      writer.kill()
      await ended
      const late = spawn('bash', ['-c', later, 'bash', fifo], { stdio: 'ignore' })
      expect(textsOf(await reading)).toEqual(expected)
      if (late.exitCode === null) await once(late, 'exit')
    } finally {
      writer.kill()
      rmSync(folder, { recursive: true })
    }
  })
})
