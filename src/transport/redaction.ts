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
