/** Whether a text consists of RFC 1123 labels that are joined by dots. Takes linear time; the caller limits the length. */
export function isSubdomain(text: string): boolean {
  return text.split('.').every((label) => /^[-a-z0-9]+$/.test(label) && !label.startsWith('-') && !label.endsWith('-'))
}
