import { ConfirmationNeededError } from '../../../errors.js'
import { daysLeft, isoSeconds, type MetadataSummary } from '../../../identity/identity.js'
import { oneLine } from '../../../redaction.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import type { OutputOptions } from '../../output/output.js'
import { validityEnd } from '../../output/validity.js'
import { wrapWords } from '../../output/word-wrap.js'
import { canAsk, confirm, whyNotConfirmed } from '../../prompts.js'

/** The flags of the command, as they are given. */
export interface RemoveOptions extends OutputOptions {
  readonly yes?: true
}

export async function runRemove(profile: string, options: RemoveOptions, context: Context): Promise<void> {
  const { kyconnect, runtime, stdout, stderr } = context
  const json = options.json === true
  const what = await kyconnect.findRemovable(profile)
  const metadata = (await kyconnect.store.summaries()).find((summary) => summary.profile === profile)?.metadata
  const isPending = what === 'pending-pairing'
  const question = isPending ? pendingQuestion(profile) : identityQuestion(profile, metadata)
  if (options.yes !== true && !json && !isPending && canAsk(context))
    await stderr.write(wrapWords(unrevokedNote(metadata, runtime.now()), stderr.columns()))
  if (options.yes !== true && !(await confirm(question, json, context))) {
    const thing = isPending ? `the pending pairing "${profile}"` : `the identity "${profile}"`
    throw new ConfirmationNeededError(`${thing} was not deleted: ${whyNotConfirmed(json, context)}`, {
      hints: [`delete it without the question: kyconnect remove ${profile} --yes`],
    })
  }
  const left = await kyconnect.remove(profile, what)
  if (json) {
    await stdout.write(jsonLine({ removed: profile, what, left }))
    return
  }
  const lines = isPending
    ? `Deleted the pending pairing "${profile}", its key and its token. No identity was stored under this profile.\n`
    : removedLines(profile, metadata, left, context)
  await stderr.write(wrapWords(lines, stderr.columns()))
}

function pendingQuestion(profile: string): string {
  return `Delete the pending pairing "${profile}", its key and its token? It cannot be continued then.`
}

function identityQuestion(profile: string, metadata: MetadataSummary | undefined): string {
  return `Delete the key and the certificate of "${profile}"${metadata === undefined ? '' : ` (App ${metadata.app})`}? They cannot be restored.`
}

/** Precedes the question, because revoking needs the key. Empty where there is nothing to revoke. */
function unrevokedNote(metadata: MetadataSummary | undefined, now: Date): string {
  if (metadata === undefined || metadata.revokedAt !== null || metadata.notAfter <= now) return ''
  const { profile, notAfter } = metadata
  return `The certificate of "${profile}" is not revoked and works until ${isoSeconds(notAfter)}: to revoke it, run "kyconnect revoke ${profile}" first.\n`
}

function removedLines(
  profile: string,
  metadata: MetadataSummary | undefined,
  left: readonly string[],
  { runtime }: Context,
): string {
  const lines = [`Deleted the identity "${profile}".`]
  if (metadata !== undefined && metadata.notAfter > runtime.now()) {
    const end = validityEnd(metadata.notAfter, daysLeft(metadata.notAfter, runtime.now()))
    const why = metadata.revokedAt === null ? 'it was not revoked' : 'revocation only keeps them from being renewed'
    lines.push(`Copies of the certificate stay valid until ${end}: ${why}.`)
  }
  return `${[...lines, ...leftLines(left)].join('\n')}\n`
}

/** The lines about files that kyconnect did not write and did not delete. */
export function leftLines(left: readonly string[]): string[] {
  const foreign = left.filter((name) => name !== 'versions')
  return [
    ...(foreign.length === 0
      ? []
      : [`Left in its folder, because kyconnect did not write it: ${foreign.map(oneLine).join(', ')}`]),
    // A version that no pointer names may be the only copy of somebody's key.
    ...(foreign.length === left.length
      ? []
      : [
          'Left in its folder: "versions", which holds keys that do not belong to this identity. Delete it if you do not need them.',
        ]),
  ]
}
