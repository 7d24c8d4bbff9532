/** Columns by which the continuation of a wrapped line is indented. */
const hangingIndent = 4

/**
 * Breaks lines at blanks so that none is wider than a terminal. A long word, such as a URL, is indented less where it would not fit
 * otherwise; one that is wider than the terminal gets a line for itself. With a width of 0 or undefined, as for a pipe, no line is broken.
 * @param text lines without colours: each character counts as a column
 */
export function wrapWords(text: string, columns: number | undefined): string {
  if (columns === undefined || columns < 1) return text
  return text
    .split('\n')
    .map((line) => wrapLine(line, columns))
    .join('\n')
}

/** A command at the end of a line, which people paste. */
const trailingCommand = /(?<=: )(?:kyconnect|kubectl|openssl|chmod|chown) /
/** What a shell takes for a line that goes on. */
const continuation = ' \\'

/** A line whose command gets lines for itself: whole where it fits, else with a shell's continuation, so that it can be pasted. */
function wrapCommand(line: string, start: number, columns: number): string {
  const [indent = ''] = /^ */.exec(line) ?? []
  const deeper = indent.length + hangingIndent
  const lines = ['']
  for (const word of shellWords(line.slice(start))) {
    const current = lines.at(-1) ?? ''
    const room = columns - continuation.length - deeper
    if (current === '') lines[lines.length - 1] = word
    else if (current.length + 1 + word.length <= room) lines[lines.length - 1] = `${current} ${word}`
    else lines.push(word)
  }
  const [only = '', ...rest] = lines
  const command = rest.length === 0 ? only : lines.join(`${continuation}\n${' '.repeat(deeper)}`)
  const first = rest.length === 0 ? Math.min(deeper, Math.max(0, columns - only.length)) : deeper
  return `${wrapLine(line.slice(0, start).trimEnd(), columns)}\n${' '.repeat(first)}${command}`
}

function wrapLine(line: string, columns: number): string {
  if (line.length <= columns) return line
  const start = line.search(trailingCommand)
  if (start > 0) return wrapCommand(line, start, columns)
  const [indent = ''] = /^ */.exec(line) ?? []
  const words = line.slice(indent.length).split(' ')
  const lines: string[] = []
  let current = indent
  let isEmpty = true
  let blanks = ''
  for (const word of words) {
    if (word === '') {
      blanks += ' '
      continue
    }
    if (isEmpty || current.length + blanks.length + word.length <= columns) {
      current += isEmpty ? word : blanks + word
    } else {
      lines.push(current)
      const room = Math.max(0, columns - word.length)
      current = ' '.repeat(Math.min(indent.length + hangingIndent, room)) + word
    }
    isEmpty = false
    blanks = ' '
  }
  return [...lines, current].join('\n')
}

/** Splits a command at its blanks, except within single quotes. */
function shellWords(command: string): string[] {
  const words: string[] = []
  let isQuoted = false
  for (const piece of command.split(' ')) {
    if (isQuoted) words.push(`${words.pop() ?? ''} ${piece}`)
    else words.push(piece)
    if (piece.split("'").length % 2 === 0) isQuoted = !isQuoted
  }
  return words
}
