/** A string, a bracket, a separator, or anything else that stands between them. */
const piece = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/gs

/**
 * Lays valid JSON out over lines. Only blanks change: a number too long for JavaScript, and how a value is written, stay as they
 * came.
 */
export function layOutJson(text: string): string {
  const pieces = text.match(piece) ?? []
  let laidOut = ''
  let depth = 0
  const line = (): string => `\n${'  '.repeat(depth)}`
  for (const [index, token] of pieces.entries()) {
    const before = pieces[index - 1] ?? ''
    switch (token) {
      case '{':
      case '[':
        depth++
        laidOut += token
        if (!/^[}\]]$/.test(pieces[index + 1] ?? '')) laidOut += line()
        break
      case '}':
      case ']':
        depth--
        laidOut += /^[{[]$/.test(before) ? token : line() + token
        break
      case ',':
        laidOut += token + line()
        break
      case ':':
        laidOut += ': '
        break
      default:
        laidOut += token
    }
  }
  return laidOut
}
