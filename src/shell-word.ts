/** Writes a text as one word of a POSIX shell, for a command in a hint: as it is where that is one, otherwise in single quotes. */
export function shellWord(text: string): string {
  return /^[\w%+,./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
