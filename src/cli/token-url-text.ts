import { TokenUrlInvalidError } from '../errors.js'
import { member, objects, parseJsonObject, text, valueOf } from '../json.js'

/** A token URL, and whether something around it, or in it, was removed. */
export interface TokenUrl {
  readonly url: URL
  readonly cleaned: boolean
}

const example = 'https://connector-service.<domain>/…/info?token=<token>'

/**
 * Reads a token URL as people paste it: with quotes, blanks and line breaks, with a shell's backslashes, with words around it, or
 * inside JSON: a TokenRequest as kubectl prints it, or the answer of the token API. The query is left as it is (docs/contract.md
 * §12, trap 17). Errors never repeat the text, because it holds a token.
 * @throws TokenUrlInvalidError
 */
export function parseTokenUrl(pasted: string): TokenUrl {
  const json = parseJsonObject(pasted)
  if (json !== undefined) return { url: parseUrl(clean(urlInJson(json))), cleaned: false }
  const candidate = urlIn(pasted)
  // Nearly every file and pipe ends with a line break, which needs no warning.
  return { url: parseUrl(candidate), cleaned: candidate !== pasted.replace(/\n$/, '') }
}

/** Removes blanks, line breaks, a shell's backslashes, and quotes around the text. */
function clean(pasted: string): string {
  const text = pasted
    .replace(/\\[ \t]*\r?\n/g, '')
    .replace(/[\s\u200b\u200e\u200f\ufeff]+/g, '')
    .replace(/\\(?=[?=&])/g, '')
  let [start, end] = [0, text.length]
  while (start < end && openingQuotes.includes(text.charAt(start))) start++
  while (end > start && closingQuotes.includes(text.charAt(end - 1))) end--
  return text.slice(start, end)
}

const openingQuotes = `"'\`<“”‘’`
const closingQuotes = `"'\`>“”‘’`

const scheme = /https?:\/\//i
/** A token as a Connector issues it has 64 bytes (docs/contract.md §2); its padding shows where it ends, however short it is. */
const paddedToken = /[?&]token=[A-Za-z0-9_-]{1,512}(?:={1,2}|(?:%3D){1,2})(?![&=%#])/i

/** Finds the URL in a text that may have words before and after it, and that may break the URL over several lines. */
function urlIn(pasted: string): string {
  const joined = clean(pasted)
  const token = paddedToken.exec(joined)
  if (token !== null) {
    const before = joined.slice(0, token.index)
    const after = joined.slice(token.index + token[0].length)
    if (paddedToken.test(after)) {
      throw new TokenUrlInvalidError('the text holds several token URLs', { hints: ['give one of them alone'] })
    }
    const start = Math.max(before.toLowerCase().lastIndexOf('https://'), before.toLowerCase().lastIndexOf('http://'))
    return start < 0 ? joined : before.slice(start) + token[0]
  }
  // Without padding, only a blank shows where the URL ends; a line break may be in the middle of it.
  const isWholeText = joined.search(scheme) === 0 && !/\S[ \t]+\S/.test(pasted.slice(pasted.search(scheme)))
  const words = pasted.split(/[\s"'`<>“”‘’]+/).filter((word) => /^https?:\/\//i.test(word))
  if (isWholeText || words.length === 0) return joined
  const word = words.find((one) => /[?&]\\?token\\?=/i.test(one)) ?? words[0] ?? joined
  return clean(word).replace(/[.,;)]{1,9}$/, '')
}

/** The URL of a TokenRequest, of a list with one of them, of the token API's answer, or of `kyconnect token --json`. */
function urlInJson(json: object): string {
  const requests = [json, ...objects(json, 'items')]
  const urls = requests.flatMap((request) => text(request, 'url') ?? text(member(request, 'status'), 'url') ?? [])
  const [url, ...others] = urls
  if (others.length > 0) {
    throw new TokenUrlInvalidError('the JSON holds several token URLs', {
      hints: ['give one of them alone: kubectl get tokenrequest <app> -o json'],
    })
  }
  if (url !== undefined) return url
  const isTokenRequest = valueOf(json, 'kind') === 'TokenRequest'
  throw new TokenUrlInvalidError(
    isTokenRequest ? 'the TokenRequest has no token URL in its status' : 'the JSON has no token URL: no "url" in it',
    {
      hints: isTokenRequest
        ? [
            'wait until the controller has answered it, and read it again',
            'or let kyconnect do both: kyconnect pair --app <name>',
          ]
        : [`give the URL alone; it looks like ${example}`],
    },
  )
}

function parseUrl(candidate: string): URL {
  if (!URL.canParse(candidate)) {
    throw new TokenUrlInvalidError(
      candidate === '' ? 'the token URL is empty' : 'the token URL is not a valid URL: it has no scheme and host',
      { hints: [`give the whole URL; it looks like ${example}`] },
    )
  }
  const url = new URL(candidate)
  if (url.protocol !== 'https:') {
    throw new TokenUrlInvalidError(
      `the token URL begins with ${url.protocol.slice(0, 20)}: kyconnect calls only https://`,
      { hints: ['ask the administrator for the https URL'] },
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw new TokenUrlInvalidError(
      'the token URL has a user name in it: a Connector Service does not issue such URLs',
      {
        hints: ['ask the administrator for the URL again'],
      },
    )
  }
  if ((url.searchParams.get('token') ?? '') === '') {
    throw new TokenUrlInvalidError('the token URL has no token: "?token=" and a value are missing', {
      hints: [
        `give the whole URL; it looks like ${example}`,
        'in a shell, put the URL in single quotes, or pipe it in: kyconnect pair --url -',
      ],
    })
  }
  return url
}
