const tokenParameter = /((?<![A-Za-z0-9_])token\\?=)([^&#\s"'<>\\]+)/gi
/** As a Connector makes them, 64 bytes in padded base64url: nothing else here looks like one. */
const wholeToken = /(?<![A-Za-z0-9_+/-])[A-Za-z0-9_-]{86}(?:==|%3D%3D|\\=\\=)/gi
const replacement = 'REDACTED'
/** A shorter one would hit innocent text, and no real token is short. */
const shortestToken = 8
/** `signingRequests` has 15 characters, a token 88. */
const longestWord = 40

/** Takes one-time tokens out of whatever is shown: every `token=`, what looks like one, and each that it has learned of, wherever it stands. */
export class Redactor {
  readonly #secrets = new Set<string>()

  /** Learns the tokens of all URLs in a text: a server may well repeat one, alone, in what it says. */
  learn(text: string): void {
    for (const [, , token = ''] of text.matchAll(tokenParameter)) this.#learnToken(token)
  }

  /**
   * Learns whatever in a token URL may be the token, by whatever name: what was pasted may be damaged, and the service may
   * have refused it without using it up.
   */
  learnUrl({ pathname, search, hash }: URL): void {
    for (const piece of `${search}&${hash}&${pathname}`.split(/[?&#;/]/)) {
      // A value, whatever its name; or a token alone, which is longer than words are.
      const [, value = ''] = /=(.*)/s.exec(piece) ?? []
      this.#learnToken(value)
      if (piece.length >= longestWord) this.#learnToken(piece)
    }
  }

  #learnToken(token: string): void {
    for (const secret of [token, token.replace(/%3D/gi, '='), token.replace(/(=|%3D)+$/i, '')]) {
      if (secret.length >= shortestToken) this.#secrets.add(secret)
    }
  }

  redact(text: string): string {
    let clean = text.replace(tokenParameter, `$1${replacement}`).replace(wholeToken, replacement)
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, replacement)
    return clean
  }
}

/** The same on one line: for a place where a line break would begin something new. */
export function oneLine(text: string): string {
  return stripControl(text).replace(/\s+/g, ' ').trim()
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
