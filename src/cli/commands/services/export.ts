import { join } from 'node:path'
import { FilesError } from '../../../errors.js'
import { exactDetails } from '../../../registry/files/exact-details.js'
import { schemaReference } from '../../../registry/files/schema-comment.js'
import { formatServiceFile } from '../../../registry/files/service-file-text.js'
import { slugOf } from '../../../registry/files/slug.js'
import { inParallel } from '../../../registry/in-parallel.js'
import { type ListedService, setOf } from '../../../registry/listed-service.js'
import type { RegisteredService } from '../../../registry/registered-service.js'
import { oneLine } from '../../../redaction.js'
import { shellWord } from '../../../shell-word.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import { existing, type NewFile, writeFiles } from './write-files.js'
import { defaultConcurrency, type RegistryOptions, withRegistry } from './registry-session.js'

/** The flags of the command, as they are given. */
export interface ExportOptions extends RegistryOptions {
  readonly set?: string
  readonly force?: true
}

export async function runExport(folder: string, options: ExportOptions, context: Context): Promise<void> {
  const { stdout, stderr } = context
  await withRegistry(options, context, async ({ registry: { client }, identity }) => {
    const all = await client.list()
    const listed = options.set === undefined ? all : all.filter((service) => setOf(service) === options.set)
    const found = new Map<ListedService, RegisteredService>()
    await inParallel(listed, defaultConcurrency, async (service) => {
      const registered = await client.get(service.id)
      // Deleted since it was listed.
      if (registered !== undefined) found.set(service, { ...registered, identifier: service.identifier })
    })
    const schema = schemaReference(context.schemaFile(), join(folder, 'service.yaml'))
    const names = new Set<string>()
    const files = listed.flatMap((service): NewFile[] => {
      const registered = found.get(service)
      if (registered === undefined) return []
      const written = formatServiceFile(exactDetails(registered), { baseName: freeName(service, names), schema })
      return written.map(({ name, text }) => ({ path: join(folder, name), text }))
    })
    const [taken] = options.force === true ? [] : await existing(files)
    if (taken !== undefined) {
      throw new FilesError(`${JSON.stringify(taken)} exists already: nothing was written`, {
        hints: ['choose an empty folder, or add --force to overwrite files'],
      })
    }
    await writeFiles(files, true)
    if (options.json === true) await stdout.write(jsonLine({ files: files.map(({ path }) => path) }))
    else if (files.length === 0)
      await stderr.write(`the App "${oneLine(identity.metadata.app)}" has no registered service to export\n`)
    else
      await stderr.write(
        `Wrote ${found.size} ${found.size === 1 ? 'service' : 'services'} to ${oneLine(folder)}.\n  next  kyconnect services diff -f ${shellWord(folder)}    shows what taking them over would change\n`,
      )
  })
}

/** A name for a service's files that no other service has. */
function freeName({ identifier, name }: ListedService, names: Set<string>): string {
  const base = slugOf(identifier ?? name)
  let free = base
  for (let count = 2; names.has(free); count++) free = `${base}-${count}`
  names.add(free)
  return free
}
