/** Every control, bidi, unassigned or private character that JSON allows to appear unescaped. */
const hidden = /\p{C}/gu

/**
 * A value as one line of JSON that any terminal may show. Control and bidi characters are escaped, so a program that parses the
 * line still gets every character.
 */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value).replace(hidden, escapeCharacter)}\n`
}

function escapeCharacter(character: string): string {
  return [...Array(character.length).keys()]
    .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
    .join('')
}
