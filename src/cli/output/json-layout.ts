/** Levels that are indented; what is deeper stays on one line, so that indentation cannot make the output grow without bound. */
const maxDepth = 20

/**
 * Indents valid JSON for a person, in time and space proportional to its length. Only whitespace changes: long numbers and other
 * values stay as they were written.
 */
export function indentJson(text: string): string {
  const parts: string[] = []
  let depth = 0
  let position = 0
  const newLine = (): string => (depth > maxDepth ? '' : `\n${'  '.repeat(depth)}`)
  while (position < text.length) {
    const end = tokenEnd(text, position)
    const token = text.slice(position, end)
    position = end
    switch (token) {
      case ' ':
      case '\t':
      case '\n':
      case '\r':
        break
      case '{':
      case '[': {
        const next = skipBlanks(text, end)
        if (text[next] === '}' || text[next] === ']') {
          parts.push(token, text[next])
          position = next + 1
        } else {
          depth++
          parts.push(token, newLine())
        }
        break
      }
      case '}':
      case ']': {
        // The closing bracket of a container that stayed on one line stays on that line.
        const isOneLine = depth > maxDepth
        depth--
        parts.push(isOneLine ? token : newLine() + token)
        break
      }
      case ',':
        parts.push(depth > maxDepth ? ', ' : token + newLine())
        break
      case ':':
        parts.push(': ')
        break
      default:
        parts.push(token)
    }
  }
  return parts.join('')
}

/** The end of the token at a position: a whole string, a run of other characters, or one bracket, separator or blank. */
function tokenEnd(text: string, start: number): number {
  if (text[start] === '"') {
    let end = start + 1
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1
    return Math.min(end + 1, text.length)
  }
  if (isStructural(text[start])) return start + 1
  let end = start + 1
  while (end < text.length && text[end] !== '"' && !isStructural(text[end])) end++
  return end
}

function skipBlanks(text: string, start: number): number {
  let end = start
  while (isBlank(text[end])) end++
  return end
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\n' || character === '\t' || character === '\r'
}

function isStructural(character: string | undefined): boolean {
  return isBlank(character) || (character !== undefined && '{}[],:'.includes(character))
}
