import { ServiceFilesError } from '../../errors.js'
import type { SecretReference } from '../content.js'
import { decodeText, FileRefused, readConfinedFile } from './confined-file.js'

const maxSecretBytes = 64 * 1024
/** What the Registry returns in place of a secret (docs/contract.md §9). */
const stars = '********'

/**
 * The secret that a reference names. Only what writes services needs it: a comparison works on a machine without the secrets.
 * @throws ServiceFilesError that names the reference, never the secret
 */
export function resolveSecret(
  reference: SecretReference,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const refuse = (problem: string, hint: string): ServiceFilesError =>
    new ServiceFilesError(`${reference.text} cannot be used: ${problem}`, {
      hints: [hint],
      details: { reference: reference.text },
    })
  const { source } = reference
  let secret: string
  let hint: string
  if (source.kind === 'environment') {
    hint = `set the environment variable ${source.variable}`
    const value = environment[source.variable]
    if (value === undefined) throw refuse('the environment variable is not set', hint)
    secret = value
  } else {
    hint = 'check the file: a regular file of at most 64 KiB below the folder of the service file'
    try {
      const bytes = readConfinedFile(source.path, { folder: source.folder, maxBytes: maxSecretBytes })
      secret = decodeText(bytes).replace(/\r?\n$/, '')
    } catch (error) {
      if (error instanceof FileRefused) throw refuse(error.message, hint)
      throw error
    }
  }
  if (secret === '') throw refuse('it is empty', hint)
  // Stars in a definition replace the stored secret for good.
  if (secret === stars) throw refuse(`it is ${stars}, which the Registry shows in place of a secret`, hint)
  if (secret.includes('PRIVATE KEY-----')) throw refuse('it is a private key', hint)
  return secret
}
