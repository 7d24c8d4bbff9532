import { ConfirmationNeededError } from '../../../errors.js'
import { isoSeconds, type Metadata } from '../../../identity/identity.js'
import { oneLine } from '../../../redaction.js'
import { checkRevocable, type Revocation } from '../../../renewal/revoke.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer } from '../../output/progress-renderer.js'
import { wrapWords } from '../../output/word-wrap.js'
import { confirmByName, whyNotConfirmed } from '../../prompts.js'
import { type NetworkOptions, profileOf, routeChoice } from '../../route-choice.js'

/** The flags of the command, as they are given. */
export interface RevokeOptions extends NetworkOptions, OutputOptions {
  readonly profile?: string
  readonly yes?: true
}

/** @param argument a profile, as --profile */
export async function runRevoke(argument: string | undefined, options: RevokeOptions, context: Context): Promise<void> {
  const { kyconnect, runtime, stdout, stderr } = context
  const json = options.json === true
  const profile = profileOf(argument, options.profile, context)
  const progress = await createProgressRenderer({ json, verbose: options.verbose === true }, context)
  const choice = await routeChoice(options, context)
  const identity = await kyconnect.identity(profile)
  checkRevocable(identity.metadata, runtime.now())
  await confirmRevocation(identity.metadata, options, context)
  if (choice.insecure) progress.emit({ type: 'warning', warning: 'insecure' })
  try {
    const revocation = await kyconnect.revoke(identity, { choice, emit: progress.emit, trace: progress.trace })
    if (json) await stdout.write(jsonLine(documentOf(revocation)))
    else await stderr.write(wrapWords(revokedLines(revocation), stderr.columns()))
  } catch (error) {
    progress.fail()
    throw error
  }
}

/** @throws ConfirmationNeededError */
async function confirmRevocation(
  { app, profile, notAfter }: Metadata,
  { yes, json }: RevokeOptions,
  context: Context,
): Promise<void> {
  if (yes === true) return
  const name = oneLine(app)
  const question = `This cannot be undone: the certificate of "${profile}" works until ${isoSeconds(notAfter)}, and cannot be renewed. Type the name of the App, ${name}, to revoke it:`
  if (await confirmByName(question, name, json === true, context)) return
  throw new ConfirmationNeededError(
    `the certificate of "${profile}" was not revoked: ${whyNotConfirmed(json === true, context)}`,
    {
      hints: [`revoke it without the question: kyconnect revoke ${profile} --yes`],
      details: { profile },
    },
  )
}

function documentOf({ metadata, revokedBefore, unrevoked }: Revocation): object {
  const { profile, app, fingerprint, notAfter, revokedAt } = metadata
  return {
    revoked: profile,
    app,
    fingerprint,
    notAfter: isoSeconds(notAfter),
    revokedAt: revokedAt === null ? null : isoSeconds(revokedAt),
    revokedBefore: revokedBefore !== undefined,
    unrevoked:
      unrevoked === undefined ? null : { fingerprint: unrevoked.fingerprint, notAfter: isoSeconds(unrevoked.notAfter) },
  }
}

function revokedLines({ metadata: { profile, app, notAfter }, unrevoked }: Revocation): string {
  return [
    `Revoked the certificate of the App "${oneLine(app)}" (profile ${profile}).`,
    `  works until  ${isoSeconds(notAfter)}: only its renewal is refused, and other programs may still use copies of it`,
    ...(unrevoked === undefined
      ? []
      : [
          `  not revoked  the previous certificate, valid until ${isoSeconds(unrevoked.notAfter)}: to revoke it too, run kyconnect rollback ${profile}, then revoke again`,
        ]),
    `  next         kyconnect remove ${profile}    deletes the key and the certificate from this machine`,
    `               kyconnect pair --force --profile ${profile} --url -    pairs again, with a new token URL`,
    '',
  ].join('\n')
}
