/**
 * The result of Go's Sprintf for a format without arguments. The Registry formats the text of an error in this way each time it puts
 * something in front of it, which garbles every `%` (docs/contract.md §9).
 */
function sprintf(format: string): string {
  return format.replace(/%[-+# 0]*(?:[1-9]\d*)?(?:\.\d*)?(.?)/gsu, (_, verb: string) =>
    verb === '%' ? '%' : verb === '' ? '%!(NOVERB)' : `%!${verb}(MISSING)`,
  )
}

/** Puts a text in front of an error as the Registry does. */
export function prepend(text: string, error: string): string {
  return `${text}, ${sprintf(error)}`
}
