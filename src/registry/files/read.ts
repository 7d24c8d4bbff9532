import { resolve } from 'node:path'
import { setImmediate as pause } from 'node:timers/promises'
import { ServiceFilesError } from '../../errors.js'
import type { DesiredService } from '../desired-service.js'
import { formatPlace, type Place } from '../place.js'
import { offsetOfField, shownName } from './field-path.js'
import { readJson } from './json-tree.js'
import { Lines } from './lines.js'
import { placed, serviceFilesError, type Problem } from './problem.js'
import { readServiceDocument, type ServiceDocument } from './service-document.js'
import { readSources, type ReadServiceFilesDeps, type SourceFile } from './source-files.js'
import { isSpecification } from './specification.js'
import { fieldOf, maxProblems, type ReadText, type SyntaxProblem } from './tree.js'
import { loadYamlReader } from './yaml-tree.js'

export type { ReadServiceFilesDeps } from './source-files.js'
export type { Problem } from './problem.js'

/**
 * Reads the services that files describe, in the order of the files, with their specifications and documents. Nothing is guessed and nothing is left
 * out: a caller may delete the services that are not in the result.
 * @param sources files, folders, or `-` for standard input
 * @throws ServiceFilesError with the problems of all files in `details.problems` ({@link Problem}), and also when one of the sources describes
 * no service
 */
export async function readServiceFiles(
  sources: readonly string[],
  deps: ReadServiceFilesDeps,
): Promise<{ readonly services: readonly DesiredService[] }> {
  const problems: Problem[] = []
  const report = (problem: Problem): void => void problems.push(problem)
  const readYaml = await loadYamlReader()
  const files: (ParsedFile | Problem)[] = []
  for (const source of await readSources(sources, deps)) {
    files.push('message' in source ? source : parse(source, readYaml))
    await pauseNowAndThen(files.length, deps)
  }
  const specifications = referredSpecifications(files.filter((file) => 'documents' in file))
  const services: DesiredService[] = []
  const read: ServiceDocument[] = []
  const described = new Set<string>()
  for (const file of files) {
    if (problems.length >= maxProblems) break
    if ('message' in file) {
      report(file)
      continue
    }
    const { source, documents, syntaxProblems, lines } = file
    if (!source.isNamed && source.path !== undefined && specifications.has(source.path)) continue
    placed(syntaxProblems, lines).forEach(report)
    if (!syntaxProblems.every(({ isReadable }) => isReadable)) continue
    for (const document of documents) {
      if (problems.length >= maxProblems) break
      if (isSpecification(document.root) && fieldOf(document.root, 'identifier') === undefined) {
        if (source.isNamed) report({ ...lines.placeOf(document.root.start), ...namedSpecification(source.file) })
        continue
      }
      read.push(document)
      for (const name of source.sources) described.add(name)
      const service = readServiceDocument(document, readYaml, report)
      await pauseNowAndThen(read.length, deps)
      if (service !== undefined) services.push(service)
    }
  }
  reportRepetitions(read, report)
  if (problems.length > 0) throw serviceFilesError(problems)
  // A folder that is not mounted or a generator that failed would make --prune delete services.
  const empty = [...new Set(sources)].filter((source) => !described.has(source))
  if (empty.length > 0) throw noServiceError(empty)
  return { services }
}

/** Not a problem at a place: there is none. */
function noServiceError(sources: readonly string[]): ServiceFilesError {
  const shown = sources.map((source) => (source === '-' ? 'standard input' : source))
  return new ServiceFilesError(`${shown.join(', ')} ${shown.length === 1 ? 'contains' : 'contain'} no service`, {
    hints: [
      'check the path; nothing was sent',
      'to delete the last services of a set: kyconnect services delete <identifier>',
    ],
  })
}

/** Reading does not wait for anything, so Ctrl-C is noticed only where this lets it. */
async function pauseNowAndThen(count: number, { signal }: ReadServiceFilesDeps): Promise<void> {
  if (count % 64 === 0) await pause()
  signal.throwIfAborted()
}

interface ParsedFile {
  readonly source: SourceFile
  readonly documents: readonly ServiceDocument[]
  readonly syntaxProblems: readonly SyntaxProblem[]
  readonly lines: Lines
}

function parse(source: SourceFile, readYaml: ReadText): ParsedFile {
  const { file, text, folder } = source
  const { roots, problems } = source.isJson ? readJson(text) : readYaml(text)
  const lines = new Lines(file, text)
  const filled = roots.filter((root) => root.kind !== 'scalar' || root.value !== null)
  return {
    source,
    documents: filled.map((root) => ({ root, text, file, lines, folder })),
    syntaxProblems: problems,
    lines,
  }
}

/** The files that services refer to as their specifications: in a folder, they are not services. */
function referredSpecifications(files: readonly ParsedFile[]): ReadonlySet<string> {
  const paths = new Set<string>()
  for (const { documents } of files) {
    for (const { root, folder } of documents) {
      for (const owner of ['api', 'events']) {
        const spec = fieldOf(fieldOf(root, owner)?.value, 'spec')?.value
        if (spec?.kind === 'scalar' && typeof spec.value === 'string') paths.add(resolve(folder(), spec.value))
      }
    }
  }
  return paths
}

function namedSpecification(file: string): { message: string; hint: string } {
  return {
    message: 'the file is a specification, not a service',
    hint: `write a service file for it: kyconnect services init --from ${file}`,
  }
}

/** An identifier names one service, and the documents of one call are one set. Those without a set join the others. */
function reportRepetitions(documents: readonly ServiceDocument[], report: (problem: Problem) => void): void {
  const identifiers = new Map<string, ServiceDocument>()
  let set: { readonly name: string; readonly document: ServiceDocument } | undefined
  for (const document of documents) {
    const identifier = textField(document, 'identifier')
    const first = identifier === undefined ? undefined : identifiers.get(identifier)
    if (identifier !== undefined && first !== undefined) {
      report({
        ...placeOf(document, 'identifier'),
        message: `the identifier ${shownName(identifier)} is also that of the service at ${formatPlace(placeOf(first, 'identifier'))}`,
        hint: 'give each service its own identifier',
      })
    } else if (identifier !== undefined) identifiers.set(identifier, document)
    const name = textField(document, 'set')
    if (name === undefined) continue
    set ??= { name, document }
    if (name === set.name) continue
    report({
      ...placeOf(document, 'set'),
      message: `the set is ${shownName(name)}, and the one at ${formatPlace(placeOf(set.document, 'set'))} is ${shownName(set.name)}`,
      hint: 'apply one set at a time',
    })
  }
}

function placeOf({ root, lines }: ServiceDocument, field: string): Place {
  return lines.placeOf(offsetOfField(root, [field]))
}

function textField({ root }: ServiceDocument, name: string): string | undefined {
  const node = fieldOf(root, name)?.value
  return node?.kind === 'scalar' && typeof node.value === 'string' && node.value !== '' ? node.value : undefined
}
