/**
 * The DER bytes of every PEM block with this label, in the order of the text; text around the blocks is ignored (RFC 7468). Searches for
 * fixed strings, so that hostile text cannot make it slow.
 */
export function pemBlocks(text: string, label: string): Uint8Array[] {
  const [begin, end] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`]
  const found: Uint8Array[] = []
  for (let at = text.indexOf(begin); at >= 0; at = text.indexOf(begin, at)) {
    const bodyAt = at + begin.length
    const endAt = text.indexOf(end, bodyAt)
    if (endAt < 0) break
    // If a second block begins before the first one ends, the first is incomplete, and the second counts.
    const again = text.lastIndexOf(begin, endAt)
    const body = text.slice(Math.max(bodyAt, again + begin.length), endAt)
    const base64 = body.replace(/\s/g, '')
    if (base64 !== '' && /^\s/.test(body) && /^[A-Za-z0-9+/]+={0,2}$/.test(base64))
      found.push(Buffer.from(base64, 'base64'))
    at = endAt + end.length
  }
  return found
}

/** One PEM block, lines of 64 characters, newline at the end (RFC 7468). */
export function toPem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der).toString('base64')
  const lines = Array.from({ length: Math.ceil(base64.length / 64) }, (_, line) =>
    base64.slice(line * 64, (line + 1) * 64),
  )
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
