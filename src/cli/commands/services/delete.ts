import { ConfirmationNeededError, type KyconnectError } from '../../../errors.js'
import { oneLine } from '../../../redaction.js'
import type { ListedService } from '../../../registry/listed-service.js'
import { shellWord } from '../../../shell-word.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import { confirm } from '../../prompts.js'
import { findService } from '../../../registry/find-service.js'
import { documentOf } from './list.js'
import { type RegistryOptions, withRegistry } from './registry-session.js'

/** The flags of the command, as they are given. */
export interface DeleteOptions extends RegistryOptions {
  readonly yes?: true
}

/** Nothing is deleted unless every name is found. A failure ends the command: what was deleted before stays deleted. */
export async function runDelete(names: readonly string[], options: DeleteOptions, context: Context): Promise<void> {
  const { stdout, stderr } = context
  const json = options.json === true
  await withRegistry(options, context, async ({ registry: { client }, identity: { metadata } }) => {
    const listed = await client.list()
    const services = [...new Set(names.map((name) => findService(listed, name)))]
    const question = `Delete ${services.map(describe).join(', ')} of the App "${oneLine(metadata.app)}"? Bindings in the cluster break.`
    if (options.yes !== true && !(await confirm(question, json, context))) {
      throw new ConfirmationNeededError('nothing was deleted: the deletion was not confirmed', {
        hints: [`delete without the question: kyconnect services delete ${names.map(shellWord).join(' ')} --yes`],
      })
    }
    const deleted: ListedService[] = []
    let failure: KyconnectError | undefined
    for (const service of services) {
      const result = await client.delete(service.id)
      if (result.outcome === 'refused') {
        failure = result.error
        break
      }
      deleted.push(service)
      if (!json) await stderr.write(`deleted ${describe(service)}\n`)
    }
    if (json) await stdout.write(jsonLine({ deleted: deleted.map(documentOf) }))
    if (failure !== undefined) throw failure
  })
}

function describe({ identifier, name, id }: ListedService): string {
  return oneLine(identifier === undefined ? `${name} (${id})` : `${identifier} (${name})`)
}
