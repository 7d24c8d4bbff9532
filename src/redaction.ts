const tokenParameter = /([?&]token=)[^&#\s"'<>\\]+/gi
const replacement = 'REDACTED'

/** Takes one-time tokens out of whatever is shown: every `token=` in a URL, and each token it has been told of, wherever it stands. */
export class Redactor {
  readonly #secrets = new Set<string>()

  /** Learns the token of a URL: a server may well repeat it, alone, in an answer. */
  learn(url: URL): void {
    const raw = /[?&]token=([^&#]*)/.exec(url.search)?.[1] ?? ''
    for (const secret of [raw, raw.replaceAll('%3D', '='), raw.replace(/(=|%3D)+$/i, '')]) {
      // A short one would hit innocent text, and no real token is short.
      if (secret.length >= 8) this.#secrets.add(secret)
    }
  }

  redact(text: string): string {
    let clean = text.replace(tokenParameter, `$1${replacement}`)
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, replacement)
    return clean
  }
}

/**
 * Takes control characters out of text that somebody else wrote, before a person sees it: a server must not be able to move
 * the cursor, colour the screen, or turn the reading direction. Newline and tab stay.
 */
export function stripControl(text: string): string {
  return text
    .replace(/\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g, '')
    .replace(/[^\P{C}\n\t]/gu, '')
}
