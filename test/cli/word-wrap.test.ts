import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { wrapWords } from '../../src/cli/output/word-wrap.js'

test('no line is wider than the terminal, unless it is one word, and no word is lost or broken', () => {
  const word = fc.stringMatching(/^[a-z:/.]{1,30}$/)
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1 }),
      fc.integer({ min: 1, max: 60 }),
      fc.nat(8),
      (words, columns, indent) => {
        const text = `${' '.repeat(indent)}${words.join(' ')}`
        const lines = wrapWords(text, columns).split('\n')
        for (const line of lines) {
          const content = line.trimStart()
          if (line.length > columns) expect(content).not.toContain(' ')
        }
        expect(lines.flatMap((line) => line.trim().split(' '))).toEqual(expect.arrayContaining(words))
        expect(lines.join(' ').split(/ +/).filter(Boolean)).toEqual(words)
      },
    ),
  )
})

test('a pipe gets its lines as they are', () => {
  const text = 'word '.repeat(100)
  expect(wrapWords(text, undefined)).toBe(text)
  expect(wrapWords(text, 0)).toBe(text)
})

test('blanks that align columns stay, and a line that continues is indented', () => {
  expect(wrapWords('  next         one two three', 22)).toBe('  next         one two\n      three')
  expect(wrapWords('abc https://example.com/', 20)).toBe('abc\nhttps://example.com/')
})

describe('a command at the end of a hint can be pasted', () => {
  test('it gets a line for itself, and stays whole where that is wide enough', () => {
    const command = 'kyconnect pair --force --profile shop --url -'
    expect(wrapWords(`  → pair again with a new token URL: ${command}`, 60).split('\n')).toEqual([
      '  → pair again with a new token URL:',
      `      ${command}`,
    ])
  })

  test('it is continued as in a shell where it is wider, and never within quotes', () => {
    const command = "kubectl -n kyma-system get svc application-connector -o 'jsonpath={.a .b}'"
    const lines = wrapWords(`  → check the NodePort: ${command}`, 50).split('\n')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(50)
    expect(lines.slice(1, -1).every((line) => line.endsWith(' \\'))).toBe(true)
    expect(
      lines
        .slice(1)
        .join('\n')
        .replace(/ \\\n */g, ' ')
        .trim(),
    ).toBe(command)
    expect(lines.join('\n')).toContain("'jsonpath={.a .b}'")
  })
})
