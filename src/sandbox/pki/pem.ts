/** PEM as Go reads and writes it. */

export function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

/** The first PEM block of a text, whatever its label and whatever stands before it; undefined when there is none (contract §5). */
export function firstPemBlock(text: string): Buffer | undefined {
  for (const match of text.matchAll(/^-----BEGIN ([^\n]*?)-----[ \t\r]*\n([^-]*)-----END ([^\n]*?)-----/gm)) {
    const [, begin, body = '', end] = match
    const base64 = body.replace(/\s/g, '')
    if (begin === end && isBase64(base64)) return Buffer.from(base64, 'base64')
  }
  return undefined
}

/** Standard alphabet, padded, nothing else. */
export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
}
