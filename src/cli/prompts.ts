import { InterruptedError } from '../errors.js'
import type { Context } from './context.js'

/**
 * Asks for the token URL without showing it, because anyone who sees it can get an identity with it.
 * @param check returns true, or the problem; after a problem the question is asked again
 */
export async function askTokenUrl(check: (text: string) => true | string, context: Context): Promise<string> {
  const message = 'Token URL (from the administrator of the cluster):'
  return String(await ask({ type: 'password', name: 'answer', message, validate: check }, context))
}

/** Asks a yes-or-no question. Without a terminal, the answer is false. */
export async function confirm(message: string, json: boolean, context: Context): Promise<boolean> {
  if (json || !canAsk(context)) return false
  return (await ask({ type: 'confirm', name: 'answer', message, default: false }, context)) === true
}

/** Asks for a name to be typed, until it is the right one. Without a terminal, the answer is false. */
export async function confirmByName(message: string, name: string, json: boolean, context: Context): Promise<boolean> {
  if (json || !canAsk(context)) return false
  const validate = (text: string): true | string =>
    text.trim() === name || `type ${name} to go on, or press Ctrl-C to change nothing`
  await ask({ type: 'input', name: 'answer', message, validate }, context)
  return true
}

/** Why a question was not asked, or how it was answered, to follow a colon. */
export function whyNotConfirmed(json: boolean, context: Context): string {
  if (json) return '--json asks no questions'
  return canAsk(context) ? 'the answer was no' : 'there is no terminal to ask on'
}

/** Whether a person can be asked. Questions go to stderr, so that stdout may be redirected. */
export function canAsk({ stdin, stderr }: Context): boolean {
  return stdin.isTerminal && stderr.isTerminal
}

interface Question {
  readonly type: 'password' | 'confirm' | 'input'
  readonly name: 'answer'
  readonly message: string
  readonly default?: boolean
  readonly validate?: (text: string) => true | string
}

/** inquirer handles Ctrl-C itself and throws its own error; it does not handle SIGTERM. */
async function ask(question: Question, { stdin, stderr, runtime: { signal } }: Context): Promise<unknown> {
  const { default: inquirer } = await import('inquirer')
  const prompt = inquirer.createPromptModule({ input: stdin.stream(), output: stderr.stream() })
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason instanceof Error ? signal.reason : new InterruptedError('interrupted'))
    })
  })
  try {
    const { answer } = await Promise.race([prompt<{ answer: unknown }>([question]), aborted])
    return answer
  } catch (error) {
    if (error instanceof Error && error.name === 'ExitPromptError') throw new InterruptedError('interrupted')
    throw error
  }
}
