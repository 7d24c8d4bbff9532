import { InterruptedError } from '../errors.js'
import type { Context } from './context.js'

/** Asks for the token URL, unseen as it is typed or pasted: it is worth an identity. */
export async function askTokenUrl(signal: AbortSignal): Promise<string> {
  const { default: inquirer } = await import('inquirer')
  const { url } = await asked(
    inquirer.prompt<{ url: string }>([
      { type: 'password', name: 'url', message: 'Token URL (from the administrator of the cluster):', mask: '•' },
    ]),
    signal,
  )
  return url
}

/** Asks for a yes; no where there is nobody to ask. */
export async function confirm(question: string, json: boolean, { stdin, stderr, signal }: Context): Promise<boolean> {
  if (json || !stdin.isTerminal || !stderr.isTerminal) return false
  const { default: inquirer } = await import('inquirer')
  const { yes } = await asked(
    inquirer.prompt<{ yes: boolean }>([{ type: 'confirm', name: 'yes', message: question, default: false }]),
    signal,
  )
  return yes
}

/** inquirer takes Ctrl-C for itself and throws an error of its own; SIGTERM it does not see. */
async function asked<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  const told = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason instanceof Error ? signal.reason : new InterruptedError('interrupted'))
    })
  })
  try {
    return await Promise.race([answer, told])
  } catch (error) {
    if (error instanceof Error && error.name === 'ExitPromptError') throw new InterruptedError('interrupted')
    throw error
  }
}
