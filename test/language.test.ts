import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { root } from './support/kyconnect.js'

/** Phrases that CONTRIBUTING.md rules out, with what to write instead. */
const banned: [RegExp, string][] = [
  [/(?<!\bthere )\bis no (?!longer\b|more than\b|later than\b)/i, '"is not a …"'],
  [/\bwhoever\b/i, 'name the person or the program'],
  [/\btold\b/i, '"reported", "printed", "named"'],
  [/\bnobody\b/i, '"no one" where it is meant, or name who'],
  [/\b(?:laid|lays|laying) out\b|\blay(?:s|ing)? [a-z]+ out\b/i, '"indented", "formatted"'],
  [/\bmade here\b/i, '"generated"'],
  [/\b(?:take|takes|taken|taking|took) up\b/i, '"continue"'],
  [/\b(?:go|goes|going) together\b/i, '"exclude each other", "match", "need each other"'],
  [/\b(?:lies|lie|lay) (?:in|beside|on|at|under|within)\b/i, '"is in"'],
  [/\b(?:comes|come|came) of\b/i, '"the result is"'],
  [/\bin vain\b/i, 'say what failed'],
  [/\bof (?:its|their|his|our) own\b/i, '"its own …"'],
  [/\bstands\b(?! (?:in )?for\b)/i, '"is"'],
  [/\bwhat is (?:\w+ ){1,3}is\b/i, 'say it with a subject, a verb and an object'],
]

/** Where the rules apply: each room of src/, the tests, and what people read beside them. The contract is given. */
const rooms = readdirSync(join(root, 'src')).map((name) => join('src', name))
/** This file quotes the phrases. */
const testRooms = readdirSync(join(root, 'test'))
  .filter(
    (name) => name !== 'language.test.ts' && (statSync(join(root, 'test', name)).isDirectory() || name.endsWith('.ts')),
  )
  .map((name) => join('test', name))
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md') && name !== 'contract.md')
    .map((name) => join('docs', name)),
]

interface Sentence {
  readonly line: number
  readonly text: string
}

function sourceFiles(room: string): string[] {
  if (statSync(join(root, room)).isFile()) return [room]
  return readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(room, name))
}

/** The string literals and comments of a source file. */
function sentencesOf(text: string): Sentence[] {
  const source = ts.createSourceFile('file.ts', text, ts.ScriptTarget.Latest, true)
  const found = new Map<number, Sentence>()
  const add = (start: number, end: number): void => {
    const { line } = source.getLineAndCharacterOfPosition(start)
    // A comment's sentence may be broken over lines.
    found.set(start, { line: line + 1, text: text.slice(start, end).replace(/\s*\n\s*(?:\*|\/\/)?\s*/g, ' ') })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      add(node.getStart(), node.end)
    }
    if (node.getChildCount() === 0) {
      const comments = [
        ...(ts.getLeadingCommentRanges(text, node.pos) ?? []),
        ...(ts.getTrailingCommentRanges(text, node.end) ?? []),
      ]
      for (const { pos, end } of comments) add(pos, end)
    }
    node.getChildren().forEach(visit)
  }
  visit(source)
  return [...found.values()]
}

/** The paragraphs of a document. What is quoted, as the banned phrases themselves are in CONTRIBUTING.md, is left out. */
function paragraphsOf(text: string): Sentence[] {
  let line = 1
  return text.split(/(?<=\n)(?=\n|[|#-])/).map((paragraph) => {
    const start = line
    line += paragraph.split('\n').length - 1
    return { line: start, text: paragraph.replace(/"[^"]*"/g, '""').replace(/\s*\n\s*/g, ' ') }
  })
}

function findings(file: string, sentences: readonly Sentence[]): string[] {
  return sentences.flatMap(({ line, text }) =>
    banned.flatMap(([pattern, instead]) => {
      const match = pattern.exec(text)
      if (match === null) return []
      const context = text.slice(Math.max(0, match.index - 40), match.index + match[0].length + 40)
      return [`${file}:${line}: "${match[0].trim()}" in "…${context}…": write ${instead}`]
    }),
  )
}

describe('every string and comment is written in the plain English that CONTRIBUTING.md asks for', () => {
  test.each([...rooms, ...testRooms])('%s', (room) => {
    const all = sourceFiles(room).flatMap((file) => findings(file, sentencesOf(readFileSync(join(root, file), 'utf8'))))
    expect(all.join('\n')).toBe('')
  })
  test.each(documents)('%s', (file) => {
    expect(findings(file, paragraphsOf(readFileSync(join(root, file), 'utf8'))).join('\n')).toBe('')
  })
})

describe('the check', () => {
  test.each([
    `throw new Error('what was given is no URL')`,
    '// A user is told, by\n// nobody.',
    '/**\n * Whoever calls\n * this.\n */\nconst a = 1',
    'const b = `the two ${a} do not go together`',
    'const c = `${a} lies in ${b}`',
  ])('finds the phrase in: %s', (source) => {
    expect(findings('file.ts', sentencesOf(source)).length).toBeGreaterThan(0)
  })

  test.each([
    `throw new Error('there is no kubeconfig')`,
    `const text = 'the certificate is no longer valid'`,
    'const told = isTold(nobody)',
    '// The output goes to stderr, together with warnings.',
    `const pattern = /whoever/`,
  ])('leaves alone: %s', (source) => {
    expect(findings('file.ts', sentencesOf(source))).toEqual([])
  })
})
