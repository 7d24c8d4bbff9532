const tokenParameter = /([?&]token=)([^&#\s"'<>\\]+)/gi
const replacement = 'REDACTED'
/** A shorter one would hit innocent text, and no real token is short. */
const shortestToken = 8

/** Takes one-time tokens out of whatever is shown: every `token=` in a URL, and each token it has learned of, wherever it stands. */
export class Redactor {
  readonly #secrets = new Set<string>()

  /** Learns the tokens of all URLs in a text: a server may well repeat one, alone, in what it says. */
  learn(text: string): void {
    for (const [, , token = ''] of text.matchAll(tokenParameter)) {
      for (const secret of [token, token.replace(/%3D/gi, '='), token.replace(/(=|%3D)+$/i, '')]) {
        if (secret.length >= shortestToken) this.#secrets.add(secret)
      }
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
