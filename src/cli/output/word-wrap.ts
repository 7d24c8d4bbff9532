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

/** Words, and a command at the end of a line as one of them: a command must stay whole to be pasted. */
function wordsOf(text: string): string[] {
  const start = text.search(/(?<=: )(?:kyconnect|kubectl|openssl|chmod|chown|[A-Z_]+=\S+ kyconnect) /)
  if (start < 0) return text.split(' ')
  return [...text.slice(0, start).trimEnd().split(' '), text.slice(start)]
}

function wrapLine(line: string, columns: number): string {
  if (line.length <= columns) return line
  const [indent = ''] = /^ */.exec(line) ?? []
  const words = wordsOf(line.slice(indent.length))
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
