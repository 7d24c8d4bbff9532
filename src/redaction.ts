const tokenParameter = /((?<![A-Za-z0-9_])token\\?=)([^&#\s"'<>\\]+)/gi
/** A token as a Connector generates it: 64 bytes in padded base64url (docs/contract.md §2). Nothing else that kyconnect prints has that form. */
const wholeToken = /(?<![A-Za-z0-9_+/-])[A-Za-z0-9_-]{86}(?:==|%3D%3D|\\=\\=)/gi
/** The form that a token in a server's answer must have to be learned: so long that it matches no word of kyconnect's own output. */
const tokenForm = /^[A-Za-z0-9_-]{32,}={0,2}$/
const replacement = 'REDACTED'
/** In a URL that the user gave, a damaged token may be short. Redacting an even shorter one would also redact ordinary text. */
const minSecretLength = 8
/** Characters that Go's encoder escapes in JSON, though JSON does not ask for it (docs/contract.md §3). */
const goEscapes: readonly (readonly [string, string])[] = [
  ['&', String.raw`\u0026`],
  ['<', String.raw`\u003c`],
  ['>', String.raw`\u003e`],
]
/** A longer piece of a given URL may be a token: `signingRequests` has 15 characters, a token 88. */
const maxWordLength = 40

/** Removes one-time tokens from everything that is shown: the value of every `token=`, text that looks like a token, and learned tokens. */
export class Redactor {
  readonly #secrets = new Set<string>()
  /** The secrets, the longest first, so that none is left in part because another one is its beginning; undefined after a new one. */
  #ordered: readonly string[] | undefined

  /** Learns the tokens in a server's answer, because a later text may quote them alone. Only text in the form of a token is learned. */
  learn(text: string): void {
    for (const [, , token = ''] of text.matchAll(tokenParameter)) {
      if (tokenForm.test(token.replace(/%3D/gi, '='))) this.#learnToken(token)
    }
  }

  /**
   * Learns every part of a given token URL that may be the token, under any name: the URL may be damaged, and the service may
   * have refused it without consuming the token.
   */
  learnUrl({ pathname, search, hash }: URL): void {
    for (const piece of `${search}&${hash}&${pathname}`.split(/[?&#;/]/)) {
      const equals = piece.indexOf('=')
      if (equals >= 0) this.#learnToken(piece.slice(equals + 1))
      if (piece.length >= maxWordLength) this.#learnToken(piece)
    }
  }

  /**
   * Learns a secret that is about to be sent, because the answer may quote it: as it is, each of its lines, and in the forms that JSON,
   * JSON inside JSON and URLs give it. A secret of less than 8 characters is not learned: redacting it would also redact ordinary text.
   */
  learnSecret(secret: string): void {
    for (const text of [secret, oneLine(secret), ...secret.split(/\r?\n/)]) {
      if (text.length < minSecretLength) continue
      const once = jsonForms(text)
      const url = (form: string): string => encodeURIComponent(form.replace(/\p{Surrogate}/gu, '\uFFFD'))
      for (const form of [text, ...once, ...once.flatMap(jsonForms), url(text), ...once.map(url)]) this.#add(form)
    }
  }

  #learnToken(token: string): void {
    const unpadded = token.replace(/(?:=|%3D){1,9}$/i, '')
    for (const secret of [token, token.replace(/%3D/gi, '='), unpadded]) {
      this.#add(secret)
    }
  }

  #add(secret: string): void {
    if (secret.length < minSecretLength || this.#secrets.has(secret)) return
    this.#secrets.add(secret)
    this.#ordered = undefined
  }

  redact(text: string): string {
    let clean = text.replace(tokenParameter, `$1${replacement}`).replace(wholeToken, replacement)
    this.#ordered ??= [...this.#secrets].sort((a, b) => b.length - a.length)
    for (const secret of this.#ordered) clean = clean.replaceAll(secret, replacement)
    return clean
  }

  /** Redacts every string in a JSON value, so that no text in it can change the JSON itself. Member names stay as they are. */
  redactJson(value: unknown): unknown {
    if (typeof value === 'string') return stripControl(this.redact(value))
    if (Array.isArray(value)) return value.map((item) => this.redactJson(item))
    if (typeof value !== 'object' || value === null || value instanceof Date) return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.redactJson(item)]))
  }
}

/** A text inside a string of JSON, as JSON.stringify and as Go's encoder write it. */
function jsonForms(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1)
  return [json, goEscapes.reduce((escaped, [char, escape]) => escaped.replaceAll(char, escape), json)]
}

/** Puts text on one line, without control characters, for output where each line has its own meaning. */
export function oneLine(text: string): string {
  return stripControl(text).replace(/\s+/g, ' ').trim()
}

/**
 * Removes control characters from text that comes from outside, before a person sees it: a server must not be able to move the
 * cursor, colour the screen or change the reading direction. Newline and tab stay.
 */
export function stripControl(text: string): string {
  return text
    .replace(/\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g, '')
    .replace(/[^\P{C}\n\t]/gu, '')
}
