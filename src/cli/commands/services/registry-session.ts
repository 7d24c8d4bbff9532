import type { Identity } from '../../../identity/identity.js'
import type { Registry } from '../../../kyconnect.js'
import { defaultConcurrency } from '../../../registry/plan.js'
import type { Context } from '../../context.js'
import { warnOfExpiry } from '../../output/identity-report.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer, type ProgressRenderer } from '../../output/progress-renderer.js'
import { namedProfile, type NetworkOptions, routeChoice } from '../../route-choice.js'

/** The flags of every subcommand that asks the Registry. */
export interface RegistryOptions extends NetworkOptions, OutputOptions {
  readonly profile?: string
}

/** The Registry of an App, opened for one command. */
export interface RegistrySession {
  readonly identity: Identity
  readonly registry: Registry
  readonly progress: ProgressRenderer
}

/**
 * Opens the Registry of the identity that the flags name, and closes it after the work.
 * @param connections the most requests at the same time
 */
export async function withRegistry<T>(
  options: RegistryOptions,
  context: Context,
  work: (session: RegistrySession) => Promise<T>,
  connections = defaultConcurrency,
): Promise<T> {
  const { kyconnect, runtime } = context
  const progress = await createProgressRenderer(
    { json: options.json === true, verbose: options.verbose === true },
    context,
  )
  const choice = { ...(await routeChoice(options, context)), connections }
  const identity = await kyconnect.identity(namedProfile(options.profile, context))
  if (choice.insecure) progress.emit({ type: 'warning', warning: 'insecure' })
  if (identity.metadata.insecure) progress.emit({ type: 'warning', warning: 'paired-insecurely' })
  warnOfExpiry(identity, runtime.now(), progress.emit)
  const registry = kyconnect.openRegistry(identity, { choice, emit: progress.emit, trace: progress.trace })
  try {
    return await work({ identity, registry, progress })
  } catch (error) {
    progress.fail()
    throw error
  } finally {
    await registry.close()
  }
}
