import { InterruptedError } from '../errors.js'
import type { Context } from './context.js'

/**
 * Asks for the token URL, unseen as it is typed or pasted: it is worth an identity.
 * @param check true, or what is wrong: then it is asked again
 */
export async function askTokenUrl(check: (text: string) => true | string, context: Context): Promise<string> {
  const message = 'Token URL (from the administrator of the cluster):'
  return String(await ask({ type: 'password', name: 'answer', message, validate: check }, context))
}

/** Asks for a yes; no where there is nobody to ask. */
export async function confirm(message: string, json: boolean, context: Context): Promise<boolean> {
  if (json || !canAsk(context)) return false
  return (await ask({ type: 'confirm', name: 'answer', message, default: false }, context)) === true
}

/** Whether there is somebody to ask: questions go to stderr, so that stdout may go elsewhere. */
export function canAsk({ stdin, stderr }: Context): boolean {
  return stdin.isTerminal && stderr.isTerminal
}

interface Question {
  readonly type: 'password' | 'confirm'
  readonly name: 'answer'
  readonly message: string
  readonly default?: boolean
  readonly validate?: (text: string) => true | string
}

/** inquirer takes Ctrl-C for itself and throws an error of its own; SIGTERM it does not see. */
async function ask(question: Question, { stdin, stderr, runtime: { signal } }: Context): Promise<unknown> {
  const { default: inquirer } = await import('inquirer')
  const prompt = inquirer.createPromptModule({ input: stdin.stream(), output: stderr.stream() })
  const told = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason instanceof Error ? signal.reason : new InterruptedError('interrupted'))
    })
  })
  try {
    const { answer } = await Promise.race([prompt<{ answer: unknown }>([question]), told])
    return answer
  } catch (error) {
    if (error instanceof Error && error.name === 'ExitPromptError') throw new InterruptedError('interrupted')
    throw error
  }
}
