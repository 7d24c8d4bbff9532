import { addAbortSignal } from 'node:stream'
import { TokenUrlInvalidError, UsageError } from '../errors.js'
import type { Context } from './context.js'
import { askTokenUrl, canAsk } from './prompts.js'
import { variable } from './route-choice.js'
import { parseTokenUrl, type TokenUrl } from './token-url-text.js'

/** A token URL has 180 bytes, a TokenRequest with its annotations a few thousand. */
const maxInputBytes = 64 * 1024

/** Whether a token URL was given, so that kyconnect need not ask a person or a cluster for one. */
export function hasTokenUrl(option: string | undefined, context: Context): boolean {
  return (option ?? variable(context, 'KYCONNECT_TOKEN_URL')) !== undefined
}

/**
 * Finds the token URL: the argument or `--url`, standard input for `-`, KYCONNECT_TOKEN_URL; on a terminal, a question.
 * @throws UsageError, TokenUrlInvalidError
 */
export async function findTokenUrl(option: string | undefined, json: boolean, context: Context): Promise<TokenUrl> {
  // On a terminal, standard input is a person: the prompt does not show what is pasted.
  if (option === '-' && (json || !canAsk(context))) return parseTokenUrl(await readInput(context))
  if (option !== undefined && option !== '-') {
    context.hideArguments()
    return parseTokenUrl(option)
  }
  const given = option === '-' ? undefined : variable(context, 'KYCONNECT_TOKEN_URL')
  if (given !== undefined) return parseTokenUrl(given)
  if (!json && canAsk(context)) return parseTokenUrl(await askTokenUrl(check, context))
  throw new UsageError('no token URL was given', {
    hints: [
      'pipe it in (kyconnect pair --url -), or set KYCONNECT_TOKEN_URL',
      'ask the administrator of the cluster for one; with a kubeconfig, run: kyconnect pair --app <name>',
    ],
  })
}

/** Returns true for a token URL, otherwise the problem with the text. */
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
      if (size > maxInputBytes)
        throw new TokenUrlInvalidError('standard input is larger than 64 KiB: it is not a token URL')
      chunks.push(bytes)
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
  return Buffer.concat(chunks).toString('utf8')
}
