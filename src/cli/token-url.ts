import { addAbortSignal } from 'node:stream'
import { TokenUrlInvalidError, UsageError } from '../errors.js'
import type { Context } from './context.js'
import { askTokenUrl, canAsk } from './prompts.js'
import { variable } from './route-choice.js'

/** Bytes; a token URL has 180. */
const longest = 64 * 1024

/** A token URL, and whether it had to be cleaned. */
export interface TokenUrl {
  readonly url: URL
  readonly cleaned: boolean
}

/** Whether a token URL was given, so that nobody has to be asked for one. */
export function hasTokenUrl(option: string | undefined, context: Context): boolean {
  return (option ?? variable(context, 'KYCONNECT_TOKEN_URL')) !== undefined
}

/**
 * Finds the token URL: `--url`, standard input for `-`, KYCONNECT_TOKEN_URL, else asked for on a terminal.
 * @throws UsageError, TokenUrlInvalidError
 */
export async function findTokenUrl(option: string | undefined, json: boolean, context: Context): Promise<TokenUrl> {
  if (option === '-') return parseTokenUrl(await readInput(context))
  if (option !== undefined) {
    context.hideArguments()
    return parseTokenUrl(option)
  }
  const given = variable(context, 'KYCONNECT_TOKEN_URL')
  if (given !== undefined) return parseTokenUrl(given)
  if (!json && canAsk(context)) return parseTokenUrl(await askTokenUrl(check, context))
  throw new UsageError('no token URL was given', {
    hints: [
      'pipe it in (kyconnect pair --url -) or set KYCONNECT_TOKEN_URL',
      'the administrator of the cluster has it',
      'with a kubeconfig at hand: kyconnect pair --app <name>',
    ],
  })
}

/**
 * Reads a token URL as people paste it: quotes, angle brackets, blanks, line breaks and a shell's backslashes are taken off.
 * The query is left as it is (docs/contract.md §12, trap 17). Errors never repeat the text: it holds a token.
 */
export function parseTokenUrl(text: string): TokenUrl {
  const clean = text
    .replace(/\\[ \t]*\r?\n/g, '')
    .replace(/[\s\u200b\u200e\u200f\ufeff]+/g, '')
    .replace(/\\(?=[?=&])/g, '')
    .replace(/^["'`<“”‘’]+|["'`>“”‘’]+$/g, '')
  if (!URL.canParse(clean)) {
    throw new TokenUrlInvalidError(clean === '' ? 'the token URL is empty' : 'what was given as token URL is no URL', {
      hints: [
        'it looks like https://connector-service.<domain>/v1/applications/signingRequests/info?token=<token>, all of it',
      ],
    })
  }
  const url = new URL(clean)
  if (url.protocol !== 'https:') {
    throw new TokenUrlInvalidError(
      `the token URL begins with ${url.protocol.slice(0, 20)}//, and only https:// is called`,
      {
        hints: ['ask the administrator for the https URL'],
      },
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw new TokenUrlInvalidError('the token URL holds a user name: it is none of a Connector Service', {
      hints: ['ask the administrator for the URL again'],
    })
  }
  return { url, cleaned: clean !== text.replace(/\n$/, '') }
}

/** True, or what is wrong with a text as token URL. */
function check(text: string): true | string {
  try {
    parseTokenUrl(text)
    return true
  } catch (error) {
    if (error instanceof TokenUrlInvalidError) return error.message
    throw error
  }
}

async function readInput({ stdin, runtime: { signal } }: Context): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of addAbortSignal(signal, stdin.stream())) {
      const bytes = Buffer.from(chunk as Uint8Array)
      size += bytes.length
      if (size > longest) throw new TokenUrlInvalidError('standard input holds more than a token URL')
      chunks.push(bytes)
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
  return Buffer.concat(chunks).toString('utf8')
}
