/** What a service file holds, in the order in which it is written. */
export type YamlValue = string | readonly YamlValue[] | YamlMap | VerbatimYaml

export class YamlMap {
  /** @param fields each with its name, its value and a comment above it; a value that is undefined leaves only the comment */
  constructor(
    readonly fields: readonly (readonly [name: string, value: YamlValue | undefined, comment?: string | undefined])[],
  ) {}
}

/** Text that is YAML already, on one line. */
export class VerbatimYaml {
  constructor(readonly text: string) {}
}

/** The text of a YAML document that any YAML 1.1 or 1.2 parser reads as the same values. */
export function formatYaml(map: YamlMap): string {
  return mapLines(map)
    .map((line) => `${line}\n`)
    .join('')
}

function mapLines({ fields }: YamlMap): string[] {
  return fields.flatMap(([name, value, comment]) => [
    ...(comment === undefined ? [] : comment.split('\n').map((line) => `# ${line}`)),
    ...(value === undefined ? [] : fieldLines(quoted(name), value)),
  ])
}

function fieldLines(name: string, value: YamlValue): string[] {
  if (typeof value === 'string') {
    return isLiteral(value)
      ? [`${name}: |${value.endsWith('\n') ? '' : '-'}`, ...literalLines(value)]
      : [`${name}: ${quoted(value)}`]
  }
  if (value instanceof VerbatimYaml) return [`${name}: ${value.text}`]
  if (value instanceof YamlMap) {
    return value.fields.length === 0 ? [`${name}: {}`] : [`${name}:`, ...indented(mapLines(value))]
  }
  return value.length === 0 ? [`${name}: []`] : [`${name}:`, ...indented(value.flatMap(itemLines))]
}

function itemLines(value: YamlValue): string[] {
  if (typeof value === 'string') return [`- ${quoted(value)}`]
  if (!(value instanceof YamlMap) || value.fields.length === 0) return ['- {}']
  const [first = '', ...rest] = mapLines(value)
  return [`- ${first}`, ...indented(rest)]
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '' : `  ${line}`))
}

function literalLines(text: string): string[] {
  return indented(text.replace(/\n$/, '').split('\n'))
}

/** Text of several lines that a literal block shows as it is. Its first line says how far it is indented, so it must not begin with a space. */
function isLiteral(text: string): boolean {
  const lines = text.replace(/\n$/, '').split('\n')
  return (
    lines.length > 1 &&
    lines.at(-1) !== '' &&
    /^\S/.test(text) &&
    lines.every((line) => line === line.trimEnd() && !unprintable.test(line))
  )
}

/**
 * What YAML does not allow as it is, characters that some parsers take for line breaks, and characters that show a reader of the file another
 * text than the one that is in it.
 */
const unprintable = /[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029\ufeff\ufffe\uffff]/u
/** Unquoted, a YAML 1.1 or 1.2 parser reads these as another type. */
const words = /^(?:y|n|yes|no|on|off|true|false|null|nan)$/i

function quoted(text: string): string {
  const isPlain = /^(?:\.\/)?[A-Za-z][\w ./()-]*$/.test(text) && !text.endsWith(' ') && !words.test(text)
  // The colons of a URL end no name, because no space follows them.
  const isUrl = /^https?:\/\/[\w./?=&%~:-]*[\w/]$/.test(text)
  if (isPlain || isUrl) return text
  return JSON.stringify(text).replace(
    /[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff\ufffe\uffff]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
