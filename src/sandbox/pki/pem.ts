/** PEM as Go reads and writes it. */

const LINE_LENGTH = 64

export function toPem(label: string, der: Buffer): string {
  const base64 = der.toString('base64')
  const lines: string[] = []
  for (let start = 0; start < base64.length; start += LINE_LENGTH) lines.push(base64.slice(start, start + LINE_LENGTH))
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

const BEGIN = '-----BEGIN '
const END = '-----END '
const DASHES = '-----'

/**
 * The first PEM block of a text, whatever its label and the text before it; undefined when there is none (docs/contract.md §5). Takes
 * time proportional to the length of the text: nothing is read twice.
 */
export function firstPemBlock(text: string): Buffer | undefined {
  for (let line = 0; line < text.length;) {
    const newline = text.indexOf('\n', line)
    const next = newline === -1 ? text.length : newline + 1
    const label = labelIn(text.slice(line, next))
    if (label !== undefined) {
      // Base64 has no dash: the first one after it ends the block, or shows that there is none.
      const dash = text.indexOf('-', next)
      const footer = `${END}${label}${DASHES}`
      const base64 = dash === -1 ? '' : text.slice(next, dash).replace(/\s/g, '')
      if (dash !== -1 && text.startsWith(footer, dash) && isBase64(base64)) return Buffer.from(base64, 'base64')
      if (dash === -1) return undefined
    }
    line = next
  }
  return undefined
}

/** The label of a line that begins a block. */
function labelIn(line: string): string | undefined {
  const header = line.trimEnd()
  const isHeader = header.startsWith(BEGIN) && header.endsWith(DASHES) && header.length >= BEGIN.length + DASHES.length
  return isHeader ? header.slice(BEGIN.length, -DASHES.length) : undefined
}

/** Whether a text is base64 in the standard alphabet with its padding, and nothing else. */
export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
}
