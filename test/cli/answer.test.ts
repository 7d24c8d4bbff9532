import { expect, test } from 'vitest'
import { openTarget, writeAnswer } from '../../src/cli/commands/call/answer.js'

const hostile = '\u001b[31m\u009b31m\u202e\u2066\u0007'

/** What an answer writes to a terminal, or to a pipe. */
async function written(
  chunks: readonly Uint8Array[],
  { isTerminal = true, include = false, header = '' },
): Promise<Buffer> {
  const output: Uint8Array[] = []
  const stdout = {
    isTerminal,
    columns: () => 80,
    stream: () => process.stdout,
    write: (text: string | Uint8Array) => {
      output.push(Buffer.from(text))
      return Promise.resolve()
    },
    writeInBackground: () => Promise.resolve(),
  }
  const body = (async function* () {
    await Promise.resolve()
    yield* chunks
  })()
  const answer = {
    status: 200,
    headers: { 'x-name': header, 'set-cookie': [header] },
    contentType: '',
    body,
    url: new URL('https://gateway.kyma.local/'),
  }
  await writeAnswer(answer, await openTarget(undefined, { stdout }), include)
  return Buffer.concat(output)
}

test('headers reach a terminal without control and bidi characters, and a pipe as they are', async () => {
  const shown = await written([], { include: true, header: `a${hostile}b` })
  expect(shown.toString()).toBe('HTTP/1.1 200\r\nx-name: a31mb\r\nset-cookie: a31mb\r\n\r\n')
  const piped = await written([], { include: true, header: `a${hostile}b`, isTerminal: false })
  expect(piped.toString()).toContain(`x-name: a${hostile}b`)
})

test.each([
  ['text', `a${hostile}ü\n`, 'a31mü\n'],
  ['JSON', JSON.stringify({ a: [`${hostile}ü`] }), '{\n  "a": [\n    "\\u001b[31m31m\\u0007ü"\n  ]\n}\n'],
])(
  '%s reaches a terminal without them, however it is cut into chunks, and a pipe byte for byte',
  async (_, text, seen) => {
    const bytes = Buffer.from(text)
    for (const size of [1, 2, 3, 1000]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      )
      expect((await written(chunks, {})).toString()).toBe(seen)
      expect(await written(chunks, { isTerminal: false })).toEqual(bytes)
    }
  },
)

test('a body that is too large to be indented is shown as it comes, without them', async () => {
  const chunk = Buffer.from(`${hostile}ü`.repeat(20_000))
  // Characters are cut at every chunk's end.
  const whole = Buffer.concat(Array<Buffer>(8).fill(chunk))
  const chunks = Array.from({ length: Math.ceil(whole.length / 99_991) }, (_, index) =>
    whole.subarray(index * 99_991, (index + 1) * 99_991),
  )
  const shown = (await written(chunks, {})).toString()
  expect(shown).not.toMatch(/[\u001b\u009b\u202e\u2066\u0007\ufffd]/)
  expect(shown.split('ü')).toHaveLength(160_001)
  expect((await written(chunks, { isTerminal: false })).equals(whole)).toBe(true)
})
