import { checkSetName } from '../../../registry/choose-set.js'
import { ownLabels } from '../../../registry/label.js'
import { type ListedService, setOf } from '../../../registry/listed-service.js'
import { oneLine } from '../../../redaction.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import { styleFor } from '../../output/style.js'
import { type RegistryOptions, withRegistry } from './registry-session.js'
import { formatRows } from '../../output/rows.js'

/** The flags of the command, as they are given. */
export interface ListOptions extends RegistryOptions {
  readonly set?: string
}

export async function runList(options: ListOptions, context: Context): Promise<void> {
  const { stdout, stderr, runtime } = context
  if (options.set !== undefined) checkSetName(options.set)
  await withRegistry(options, context, async ({ registry: { client }, identity }) => {
    const all = await client.list()
    const listed = options.set === undefined ? all : all.filter((service) => setOf(service) === options.set)
    if (options.json === true) {
      await stdout.write(jsonLine({ services: listed.map(documentOf) }))
      return
    }
    if (listed.length === 0) {
      const where = options.set === undefined ? '' : ` in the set "${oneLine(options.set)}"`
      await stderr.write(`the App "${oneLine(identity.metadata.app)}" has no registered service${where}\n`)
      return
    }
    const rows = listed.map((service) => [
      oneLine(service.identifier ?? '-'),
      oneLine(service.name),
      oneLine(service.provider),
      oneLine(setOf(service) ?? '-'),
      service.id,
    ])
    const [heading = '', ...lines] = formatRows([['IDENTIFIER', 'NAME', 'PROVIDER', 'SET', 'ID'], ...rows])
    const style = styleFor(stdout, runtime.environment)
    await stdout.write([style.dim(heading), ...lines].map((line) => `${line}\n`).join(''))
  })
}

/** A service in the documents of --json. The keys are stable; docs/reference.md describes them. */
export function documentOf(service: ListedService): object {
  const { id, identifier, name, provider, description, labels } = service
  return {
    id,
    identifier: identifier ?? null,
    name,
    provider,
    description,
    set: setOf(service) ?? null,
    labels: ownLabels(labels),
  }
}
