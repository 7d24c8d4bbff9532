const block = /-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]+?)-----END \1-----/g

/** The DER bytes of every PEM block with this label, in the order of the text; text around the blocks is ignored (RFC 7468). */
export function pemBlocks(text: string, label: string): Uint8Array[] {
  const found: Uint8Array[] = []
  for (const [, name, body] of text.matchAll(block)) {
    if (name === label && body !== undefined) found.push(Buffer.from(body, 'base64'))
  }
  return found
}

/** One PEM block, lines of 64 characters, newline at the end (RFC 7468). */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
