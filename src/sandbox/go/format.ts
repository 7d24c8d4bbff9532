/**
 * A text after it went through Go's Sprintf as a format without arguments: the Registry does that to an error's text each time it puts
 * something in front of it, and garbles every `%` (contract §9).
 */
function sprintf(format: string): string {
  return format.replace(/%[-+# 0]*\d*(?:\.\d*)?(.?)/gsu, (_, verb: string) =>
    verb === '%' ? '%' : verb === '' ? '%!(NOVERB)' : `%!${verb}(MISSING)`,
  )
}

/** Puts a text in front of an error as the Registry does. */
export function prepend(text: string, error: string): string {
  return `${text}, ${sprintf(error)}`
}
