import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AnswerHead, MalformedAnswer } from '../../../src/transport/lane/answer-head.js'
import { AnswerParser } from '../../../src/transport/lane/answer-parser.js'

/** Answers of one connection that are generated and split; more in a long run. */
const fuzzedAnswers = Number(process.env['KYCONNECT_FUZZ_ANSWERS'] ?? 20_000)

interface Read {
  readonly status: number
  readonly contentType: string
  readonly connection: AnswerHead['connection']
  readonly body: string
}

/** Reads the chunks one after the other. @returns the answers, and what was wrong after them; `rest` when a part of an answer is missing */
function read(...chunks: readonly (string | Buffer)[]): {
  answers: Read[]
  problem: string | undefined
  rest: boolean
} {
  const answers: Read[] = []
  const parser = new AnswerParser(({ status, contentType, connection }, body) => {
    answers.push({ status, contentType, connection, body: body.toString('latin1') })
    return true
  })
  let problem: string | undefined
  try {
    for (const chunk of chunks) {
      const bytes = Buffer.from(chunk)
      parser.push(bytes)
      // As a lane does, which reads into one buffer.
      bytes.fill('?')
    }
  } catch (error) {
    if (!(error instanceof MalformedAnswer)) throw error
    problem = error.message
  }
  return { answers, problem, rest: parser.isWithinAnswer }
}

function answer(...lines: readonly string[]): string {
  return lines.join('\r\n')
}

const ok = answer('HTTP/1.1 200 OK', 'Content-Type: Application/JSON', 'Content-Length: 2', '', '{}')
const okRead: Read = { status: 200, contentType: 'application/json', connection: 'stays', body: '{}' }
const chunked = (...lines: readonly string[]): string =>
  answer('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', '', ...lines)

describe('an answer is read', () => {
  test.each<[string, string, Partial<Read>]>([
    ['with a Content-Length', ok, okRead],
    ['with an empty body', answer('HTTP/1.1 200 OK', 'Content-Length: 0', '', ''), { body: '', contentType: '' }],
    [
      'without a reason after the status',
      answer('HTTP/1.1 200', 'Content-Length: 2', '', '{}'),
      { status: 200, body: '{}' },
    ],
    ['204, which has no body', answer('HTTP/1.1 204 No Content', '', ''), { status: 204, body: '' }],
    [
      '304, whose Content-Length is that of another answer',
      answer('HTTP/1.1 304 Not Modified', 'Content-Length: 9', '', ''),
      { status: 304, body: '' },
    ],
    [
      'after interim answers',
      `${answer('HTTP/1.1 100 Continue', '', 'HTTP/1.1 103 Early Hints', 'Link: </a>', '', '')}${ok}`,
      okRead,
    ],
    ['in chunks', chunked('3', '{"a', '4;name=value', '":1}', '0', '', ''), { body: '{"a":1}' }],
    ['in chunks, with trailers', chunked('A', '0123456789', '0', 'Expires: never', '', ''), { body: '0123456789' }],
    ['in no chunks', chunked('0', '', ''), { body: '' }],
    [
      'that announces the end of the connection',
      answer('HTTP/1.1 200 OK', 'connection: Foo, Close', 'content-length: 0', '', ''),
      { connection: 'closes' },
    ],
    [
      'that keeps the connection',
      answer('HTTP/1.1 200 OK', 'Connection: keep-alive', 'content-length: 0', '', ''),
      { connection: 'stays' },
    ],
    [
      'of HTTP/1.0, which announces nothing',
      answer('HTTP/1.0 200 OK', 'content-length: 0', '', ''),
      { connection: 'unknown' },
    ],
    [
      'of HTTP/1.0 that announces it',
      answer('HTTP/1.0 200 OK', 'connection: close', 'content-length: 0', '', ''),
      { connection: 'closes' },
    ],
    [
      'with header bytes beyond ASCII',
      answer('HTTP/1.1 200 Größe', 'X-A: ü', 'content-length: 0', '', ''),
      { status: 200 },
    ],
  ])('%s', (_, bytes, expected) => {
    const { answers, problem, rest } = read(Buffer.from(bytes, 'latin1'))
    expect(problem).toBeUndefined()
    expect(rest).toBe(false)
    expect(answers).toHaveLength(1)
    expect(answers[0]).toMatchObject(expected)
  })

  test('with a head as long as allowed, and a body as large as allowed', () => {
    const head = answer('HTTP/1.1 200 OK', 'Content-Length: 65536', 'X: ')
    const filled = head + 'y'.repeat(16 * 1024 - head.length)
    const { answers, problem } = read(`${filled}\r\n\r\n`, 'z'.repeat(65_536))
    expect(problem).toBeUndefined()
    expect(answers.map(({ body }) => body.length)).toEqual([65_536])
  })
})

describe('anything else is rejected, and gives no answer', () => {
  const status = 'the status line'
  const header = 'a header'
  const oneOf = (...headers: readonly string[]): string => answer('HTTP/1.1 200 OK', ...headers, '', '{}')
  test.each<[string, string, string]>([
    ['random bytes', `\0\x01\x02\xff${' '.repeat(100)}\r\n\r\n`, status],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', status],
    ['HTTP/2.0', answer('HTTP/2.0 200 OK', '', ''), status],
    ['a lower-case protocol', answer('http/1.1 200 OK', '', ''), status],
    ['status 000', answer('HTTP/1.1 000 Zero', 'Content-Length: 2', '', '{}'), status],
    ['status 600', answer('HTTP/1.1 600 Many', 'Content-Length: 2', '', '{}'), status],
    ['status 1000', answer('HTTP/1.1 1000 Many', 'Content-Length: 2', '', '{}'), status],
    ['two blanks before the status', answer('HTTP/1.1  200 OK', 'Content-Length: 2', '', '{}'), status],
    ['a blank line first', `\r\n${ok}`, status],
    ['an upgrade', answer('HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', '', ''), 'an upgrade'],
    ['interim answers without an end', answer('HTTP/1.1 100 Continue', '', '').repeat(9), 'too many interim'],
    ['neither length nor chunks', oneOf('Content-Type: text/html'), 'neither'],
    ['two lengths', oneOf('Content-Length: 2', 'Content-Length: 3'), 'several Content-Length'],
    ['the same length twice', oneOf('Content-Length: 2', 'Content-Length: 2'), 'several Content-Length'],
    ['a list of lengths', oneOf('Content-Length: 2, 2'), 'the Content-Length'],
    ['a negative length', oneOf('Content-Length: -2'), 'the Content-Length'],
    ['a length with a plus', oneOf('Content-Length: +2'), 'the Content-Length'],
    ['a hexadecimal length', oneOf('Content-Length: 0x2'), 'the Content-Length'],
    ['an empty length', oneOf('Content-Length:'), 'the Content-Length'],
    ['a length beyond all numbers', oneOf(`Content-Length: ${'9'.repeat(400)}`), 'the Content-Length'],
    ['length and chunks', oneOf('Content-Length: 2', 'Transfer-Encoding: chunked'), 'both'],
    ['another coding', oneOf('Transfer-Encoding: gzip'), 'a transfer encoding'],
    ['another coding before chunks', oneOf('Transfer-Encoding: gzip, chunked'), 'a transfer encoding'],
    ['chunks twice', oneOf('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 'a transfer encoding'],
    ['a blank before the colon', oneOf('Content-Length : 2'), header],
    ['a header without a colon', oneOf('Content-Length 2'), header],
    ['a header without a name', oneOf(': 2'), header],
    ['a header that is continued', oneOf('X: a', ' b', 'Content-Length: 2'), header],
    ['a bare line feed', oneOf('X: a\nContent-Length: 2'), header],
    ['a bare carriage return', oneOf('X: a\rContent-Length: 2'), header],
    ['a NUL', oneOf('X: a\0', 'Content-Length: 2'), header],
    ['headers too long', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(17_000)}`, 'the headers are too long'],
    ['complete headers too long', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(17_000)}\r\n\r\n`, 'the headers are too long'],
    ['a body too large', oneOf('Content-Length: 65537'), 'larger than 64 KiB'],
    ['a chunk too large', chunked('10001', ''), 'larger than 64 KiB'],
    ['chunks too large', chunked('10000', 'x'.repeat(65_536), '1', ''), 'larger than 64 KiB'],
    ['a chunk size that is not a number', chunked('xyz', '{}', '0', '', ''), 'the size of a chunk'],
    ['a chunk size with 0x', chunked('0x2', '{}', '0', '', ''), 'the size of a chunk'],
    ['a negative chunk size', chunked('-2', '{}', '0', '', ''), 'the size of a chunk'],
    ['a chunk size beyond all numbers', chunked('f'.repeat(17), '{}'), 'the size of a chunk'],
    ['an empty chunk size', chunked('', '{}', '0', '', ''), 'the size of a chunk'],
    ['a chunk longer than its size', chunked('2', '{}}', '0', '', ''), 'a chunk is longer'],
    ['a chunk line without an end', chunked(`2;${'x'.repeat(2000)}`), 'the line before a chunk'],
    ['trailers without an end', chunked('0', ...Array.from({ length: 17 }, () => 'a: b'), '', ''), 'too many trailers'],
    ['a trailer without an end', chunked('0', 'x'.repeat(2000)), 'a trailer is too long'],
  ])('%s', (_, bytes, problem) => {
    const buffer = Buffer.from(bytes, 'latin1')
    expect(read(buffer)).toMatchObject({ answers: [], problem: expect.stringContaining(problem) as string })
    const single = read(...Array.from(buffer, (byte) => Buffer.of(byte)))
    expect(single).toMatchObject({ answers: [], problem: expect.stringContaining(problem) as string })
    expect(read(ok, buffer)).toMatchObject({ answers: [okRead], problem: expect.stringContaining(problem) as string })
  })
})

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/)
const value = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/)
const ownNames = /^(?:content-type|content-length|transfer-encoding|connection)$/i

/** An answer as bytes, and as it is to be read. */
const generatedAnswer = fc
  .record({
    status: fc.constantFrom(200, 202, 204, 304, 400, 404, 413, 500, 503),
    reason: fc.option(value, { nil: '' }),
    contentType: fc.option(value, { nil: undefined }),
    others: fc.array(
      fc.tuple(
        token.filter((name) => !ownNames.test(name)),
        value,
      ),
      { maxLength: 4 },
    ),
    body: fc.uint8Array({ maxLength: 300 }),
    pieces: fc.option(fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 5 }), { nil: undefined }),
    trailer: fc.option(fc.tuple(token, value), { nil: undefined }),
    interims: fc.integer({ min: 0, max: 2 }),
    upperCase: fc.boolean(),
  })
  .map((parts) => {
    const { status, contentType, body, pieces } = parts
    const isEmpty = status === 204 || status === 304
    const cased = (name: string): string => (parts.upperCase ? name.toUpperCase() : name)
    const head = [
      ...Array.from({ length: parts.interims }, () => ['HTTP/1.1 102 Processing', '']).flat(),
      `HTTP/1.1 ${status} ${parts.reason}`,
      ...(contentType === undefined ? [] : [`${cased('content-type')}: ${contentType}`]),
      ...parts.others.map(([name, text]) => `${name}:${text}`),
      ...(isEmpty
        ? []
        : [
            pieces === undefined
              ? `${cased('content-length')}:  ${body.length} `
              : cased('transfer-encoding') + ': chunked',
          ]),
      '',
      '',
    ].join('\r\n')
    const sent = isEmpty ? [] : pieces === undefined ? [Buffer.from(body)] : chunks(body, pieces, parts.trailer)
    return {
      bytes: Buffer.concat([Buffer.from(head, 'latin1'), ...sent]),
      read: {
        status,
        contentType: contentType?.toLowerCase() ?? '',
        connection: 'stays',
        body: isEmpty ? '' : Buffer.from(body).toString('latin1'),
      } satisfies Read,
    }
  })

function chunks(body: Uint8Array, pieces: readonly number[], trailer: readonly [string, string] | undefined): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0, piece = 0; at < body.length; piece++) {
    const size = Math.min(body.length - at, pieces[piece % pieces.length] ?? 1)
    parts.push(Buffer.from(`${size.toString(16)}\r\n`), Buffer.from(body.subarray(at, at + size)), Buffer.from('\r\n'))
    at += size
  }
  return [...parts, Buffer.from(`0\r\n${trailer === undefined ? '' : `${trailer[0]}: ${trailer[1]}\r\n`}\r\n`)]
}

describe('answers in a row', () => {
  test('are the same ones, whatever bytes arrive together', () => {
    const perRun = 20
    fc.assert(
      fc.property(
        fc.array(generatedAnswer, { minLength: 1, maxLength: 2 * perRun }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 }),
        (list, sizes) => {
          const bytes = Buffer.concat(list.map((one) => one.bytes))
          const parts: Buffer[] = []
          for (let at = 0, next = 0; at < bytes.length; next++) {
            const size = sizes[next % sizes.length] ?? 1
            parts.push(bytes.subarray(at, at + size))
            at += size
          }
          expect(read(...parts)).toEqual({ answers: list.map((one) => one.read), problem: undefined, rest: false })
        },
      ),
      { numRuns: Math.ceil(fuzzedAnswers / perRun) },
    )
  })

  test('are the same ones, wherever the bytes are split in two', () => {
    fc.assert(
      fc.property(fc.array(generatedAnswer, { minLength: 1, maxLength: 3 }), (list) => {
        const bytes = Buffer.concat(list.map((one) => one.bytes))
        const expected = { answers: list.map((one) => one.read), problem: undefined, rest: false }
        for (let at = 0; at <= bytes.length; at++) {
          const split = read(bytes.subarray(0, at), bytes.subarray(at))
          if (JSON.stringify(split) !== JSON.stringify(expected)) expect({ at, ...split }).toEqual(expected)
        }
        expect(read(...Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(expected)
      }),
      { numRuns: Math.ceil(fuzzedAnswers / 500) },
    )
  })

  test('of which one is damaged are the same as far as it, or end in a MalformedAnswer, or wait for more', () => {
    fc.assert(
      fc.property(
        fc.array(generatedAnswer, { minLength: 2, maxLength: 6 }),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.constantFrom('changed', 'removed', 'added'),
        (list, place, byte, how) => {
          const bytes = Buffer.concat(list.map((one) => one.bytes))
          const at = place % bytes.length
          const damaged = Buffer.concat([
            bytes.subarray(0, at),
            how === 'removed' ? Buffer.alloc(0) : Buffer.of(byte),
            bytes.subarray(how === 'added' ? at : at + 1),
          ])
          let end = 0
          const intact = list.filter((one) => (end += one.bytes.length) <= at).map((one) => one.read)
          const { answers } = read(damaged)
          expect(answers.slice(0, intact.length)).toEqual(intact)
          expect(answers.length).toBeLessThanOrEqual(list.length + 1)
        },
      ),
      { numRuns: Math.ceil(fuzzedAnswers / 10) },
    )
  })

  test('have limits that start again with each of them', () => {
    const one = chunked('1388', 'x'.repeat(5000), '0', 'Expires: never', '', '')
    expect(read(one.repeat(20))).toMatchObject({ answers: { length: 20 }, problem: undefined, rest: false })
    const other = answer('HTTP/1.1 100 Continue', '', ok)
    expect(read(other.repeat(20))).toMatchObject({ answers: { length: 20 }, problem: undefined, rest: false })
  })

  test('are not read further after the one that says so', () => {
    let count = 0
    const parser = new AnswerParser(() => ++count < 2)
    parser.push(Buffer.from(ok.repeat(5)))
    parser.push(Buffer.from('not HTTP\r\n\r\n'))
    expect(count).toBe(2)
  })

  test('leave no part of an answer behind, and say so while they do', () => {
    for (let at = 1; at < ok.length; at++) expect(read(ok.slice(0, at)).rest).toBe(true)
    expect(read(ok).rest).toBe(false)
    expect(read(answer('HTTP/1.1 100 Continue', '', '')).rest).toBe(true)
  })
})
