import { join } from 'node:path'
import { readdir } from 'node:fs/promises'
import { FilesError, UsageError } from '../../../errors.js'
import { checkSetName } from '../../../registry/choose-set.js'
import { exactDetails } from '../../../registry/files/exact-details.js'
import { schemaReference } from '../../../registry/files/schema-comment.js'
import { formatServiceFile } from '../../../registry/files/service-file-text.js'
import { slugOf } from '../../../registry/files/slug.js'
import { defaultConcurrency } from '../../../registry/plan.js'
import { inParallel } from '../../../registry/in-parallel.js'
import { type ListedService, setOf } from '../../../registry/listed-service.js'
import type { RegisteredService } from '../../../registry/registered-service.js'
import { oneLine } from '../../../redaction.js'
import { shellWord } from '../../../shell-word.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import { type NewFile, writeFiles } from './write-files.js'
import { type RegistryOptions, withRegistry } from './registry-session.js'

/** The flags of the command, as they are given. */
export interface ExportOptions extends RegistryOptions {
  readonly set?: string
  readonly force?: true
}

export async function runExport(folder: string, options: ExportOptions, context: Context): Promise<void> {
  const { stdout, stderr } = context
  if (options.set !== undefined) checkSetName(options.set)
  if (options.force !== true) await requireNoServiceFiles(folder)
  await withRegistry(options, context, async ({ registry: { client }, identity }) => {
    const listed = chosenServices(await client.list(), options.set)
    const found = new Map<ListedService, RegisteredService>()
    await inParallel(listed, defaultConcurrency, async (service) => {
      const registered = await client.get(service.id)
      // Deleted since it was listed.
      if (registered !== undefined) found.set(service, { ...registered, identifier: service.identifier })
    })
    const schema = schemaReference(context.schemaFile(), join(folder, 'service.yaml'))
    const names = new Set<string>()
    const written = listed.flatMap((service) => {
      const registered = found.get(service)
      if (registered === undefined) return []
      return [formatServiceFile(exactDetails(registered), { baseName: freeName(service, names), schema })]
    })
    const files = written.flatMap((service) =>
      service.files.map(({ name, text }): NewFile => ({ path: join(folder, name), text })),
    )
    const variables = [...new Set(written.flatMap((service) => service.variables))]
    // All files end with .yaml or .json, and the folder had none of these.
    await writeFiles(files, options.force === true)
    const exported = [...found.keys()]
    const withoutIdentifier = exported.filter(({ identifier }) => identifier === undefined).length
    const needsAdopt = exported.some((service) => service.identifier !== undefined && setOf(service) === undefined)
    if (options.json === true)
      await stdout.write(jsonLine({ files: files.map(({ path }) => path), variables, withoutIdentifier, needsAdopt }))
    else if (files.length === 0)
      await stderr.write(`the App "${oneLine(identity.metadata.app)}" has no registered service to export\n`)
    else {
      const lines = [
        `Wrote ${count(exported.length, 'service')} to ${oneLine(folder)}.`,
        ...(withoutIdentifier === 0
          ? []
          : [
              `  ${count(withoutIdentifier, 'service')} without an identifier: applying the file registers another service, so delete the old one by its id`,
            ]),
        ...(variables.length === 0
          ? []
          : [`  set these variables before you apply the files: ${variables.join(', ')}`]),
        `  next  kyconnect services diff -f ${shellWord(folder)}    shows what applying the files would change`,
        ...(needsAdopt
          ? [`        kyconnect services apply -f ${shellWord(folder)} --adopt    takes these services over`]
          : []),
      ]
      await stderr.write(lines.map((line) => `${line}\n`).join(''))
    }
  })
}

/** The services of the given set, else all. The files of one folder are one set. @throws UsageError when there are several sets */
function chosenServices(all: readonly ListedService[], set: string | undefined): readonly ListedService[] {
  if (set !== undefined) return all.filter((service) => setOf(service) === set)
  const sets = [...new Set(all.flatMap((service) => setOf(service) ?? []))].sort()
  const [first] = sets
  if (first === undefined || sets.length === 1) return all
  throw new UsageError(`the App has services of ${sets.length} sets: ${sets.join(', ')}`, {
    hints: [`export one at a time: --set ${shellWord(first)}`],
    details: { sets },
  })
}

/** Files that are left in the folder would be read with the new ones. @throws FilesError */
async function requireNoServiceFiles(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  const taken = names.find((name) => /\.(?:ya?ml|json)$/i.test(name))
  if (taken === undefined) return
  throw new FilesError(
    `${JSON.stringify(folder)} has service files already, such as ${JSON.stringify(taken)}: nothing was written`,
    {
      hints: [
        'choose an empty folder',
        'or add --force, which overwrites files of the same name and leaves the others',
      ],
    },
  )
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}

/** A name for a service's files that no other service has. */
function freeName({ identifier, name }: ListedService, names: Set<string>): string {
  const base = slugOf(identifier ?? name)
  let free = base
  for (let count = 2; names.has(free); count++) free = `${base}-${count}`
  names.add(free)
  return free
}
