import { SecretReference } from '../content.js'
import { pathRefusal } from './confined-file.js'

const variablePrefix = 'KYCONNECT_SECRET_'

/** What is wrong with the text of a credential field. The text may be a secret, so no message quotes it. */
export interface ReferenceProblem {
  readonly message: string
  readonly hint?: string
}

/** Whether a text has a reference in it, in whatever place. */
export function hasReference(text: string): boolean {
  return text.includes('${env:') || text.includes('${file:')
}

/**
 * Reads the text of a credential field: a reference and nothing else.
 * @param folder the real folder of the service file
 */
export function parseReference(text: string, folder: () => string): SecretReference | ReferenceProblem {
  const match = /^\$\{(env|file):([^{}]*)\}$/.exec(text)
  if (match === null) {
    return hasReference(text)
      ? { message: 'must be one reference and nothing else' }
      : {
          message: 'must be a reference to a secret, not the secret itself',
          hint: 'write ${env:KYCONNECT_SECRET_NAME} or ${file:path}',
        }
  }
  const [, kind, value = ''] = match
  if (kind === 'env') {
    if (/^KYCONNECT_SECRET_\w+$/.test(value)) return new SecretReference({ kind: 'environment', variable: value }, text)
    if (value.startsWith(variablePrefix) && value !== variablePrefix) {
      return {
        message: `refers to an environment variable whose name is not made of letters, digits and "_"`,
        hint: 'rename the variable',
      }
    }
    return {
      message: `refers to an environment variable whose name does not begin with ${variablePrefix}`,
      hint: `rename the variable: only those that begin with ${variablePrefix} can be sent`,
    }
  }
  const refusal = pathRefusal(value)
  if (refusal !== undefined) return { message: `refers to a file that cannot be used: ${refusal}` }
  return new SecretReference({ kind: 'file', folder: folder(), path: value }, text)
}
