/** `Client-Certificate-Subject`, the header by which the ingress names the client's subject to the services (docs/contract.md §7). */

/**
 * The subject in the form of RFC 2253: the last attribute first, and characters beyond ASCII as escaped bytes.
 *
 * @param subject `X509Certificate.subject`: one RDN per line, escaped as RFC 2253 demands
 */
export function toSubjectHeader(subject: string): string {
  return subject
    .split('\n')
    .reverse()
    .map((rdn) => rdn.split(' + ').reverse().join('+'))
    .join(',')
    .replace(/[^\x20-\x7e]/gu, (character) =>
      [...Buffer.from(character)].map((byte) => `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    )
}

/** The first value of an attribute, such as CN, in a subject of RFC 2253; undefined when there is none, or an empty one. */
export function attributeIn(header: string, attribute: string): string | undefined {
  for (const part of splitUnescaped(header)) {
    if (part.startsWith(`${attribute}=`)) return unescape(part.slice(attribute.length + 1)) || undefined
  }
  return undefined
}

/** Splits at each comma and plus that no backslash precedes. */
function splitUnescaped(text: string): string[] {
  const parts: string[] = []
  let start = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '\\') at++
    else if (character === ',' || character === '+') {
      parts.push(text.slice(start, at))
      start = at + 1
    }
  }
  return [...parts, text.slice(start)]
}

function unescape(value: string): string {
  const bytes = value.replace(/\\([0-9A-F]{2}|.)/g, (_, escaped: string) =>
    escaped.length === 2 ? String.fromCharCode(parseInt(escaped, 16)) : escaped,
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
