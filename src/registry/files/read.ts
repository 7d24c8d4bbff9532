import { resolve } from 'node:path'
import type { DesiredService } from '../desired-service.js'
import { formatPlace, type Place } from '../place.js'
import { offsetOfField, shownName } from './field-path.js'
import { readJson } from './json-tree.js'
import { Lines } from './lines.js'
import { placed, serviceFilesError, type Problem } from './problem.js'
import { readServiceDocument, type ServiceDocument } from './service-document.js'
import { readSources, type ReadServiceFilesDeps, type SourceFile } from './source-files.js'
import { isSpecification } from './specification.js'
import { fieldOf, type Node, type SyntaxProblem } from './tree.js'
import { readYaml } from './yaml-tree.js'

export type { ReadServiceFilesDeps } from './source-files.js'
export type { Problem } from './problem.js'

/**
 * Reads the services that files describe, in the order of the files, with their specifications and documents. Nothing is guessed and nothing is left
 * out: a caller may delete the services that are not in the result.
 * @param sources files, folders, or `-` for standard input
 * @throws ServiceFilesError with all problems of all files in `details.problems` ({@link Problem}), and also when no service is described
 */
export async function readServiceFiles(
  sources: readonly string[],
  deps: ReadServiceFilesDeps,
): Promise<{ readonly services: readonly DesiredService[] }> {
  const problems: Problem[] = []
  const report = (problem: Problem): void => void problems.push(problem)
  const files: (ParsedFile | Problem)[] = []
  for (const source of await readSources(sources, deps)) {
    files.push('message' in source ? source : await parse(source))
  }
  const specifications = referredSpecifications(files.filter((file) => 'documents' in file))
  const services: DesiredService[] = []
  const read: ServiceDocument[] = []
  for (const file of files) {
    if ('message' in file) {
      report(file)
      continue
    }
    const { source, documents, syntaxProblems, lines } = file
    if (!source.isNamed && source.path !== undefined && specifications.has(source.path)) continue
    placed(syntaxProblems, lines).forEach(report)
    if (!syntaxProblems.every(({ isReadable }) => isReadable)) continue
    for (const document of documents) {
      deps.signal.throwIfAborted()
      if (isSpecification(document.root) && fieldOf(document.root, 'identifier') === undefined) {
        if (source.isNamed) report({ ...lines.placeOf(document.root.start), ...namedSpecification(source.file) })
        continue
      }
      read.push(document)
      const service = await readServiceDocument(document, report)
      if (service !== undefined) services.push(service)
    }
  }
  reportRepetitions(read, report)
  if (problems.length === 0 && services.length === 0) {
    report({ file: sources.join(', '), line: 1, column: 1, message: 'no service is described there' })
  }
  if (problems.length > 0) throw serviceFilesError(problems)
  return { services }
}

interface ParsedFile {
  readonly source: SourceFile
  readonly documents: readonly ServiceDocument[]
  readonly syntaxProblems: readonly SyntaxProblem[]
  readonly lines: Lines
}

async function parse(source: SourceFile): Promise<ParsedFile> {
  const { file, text, folder } = source
  const { roots, problems } = source.isJson ? readJson(text) : await readYaml(text)
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
  const identifiers = new Map<string, Place>()
  let set: { readonly name: string; readonly place: Place } | undefined
  for (const { root, lines } of documents) {
    const identifier = textField(root, 'identifier')
    if (identifier !== undefined) {
      const place = lines.placeOf(offsetOfField(root, ['identifier']))
      const first = identifiers.get(identifier)
      if (first === undefined) identifiers.set(identifier, place)
      else {
        const message = `the identifier ${shownName(identifier)} is also that of the service at ${formatPlace(first)}`
        report({ ...place, message, hint: 'give each service its own identifier' })
      }
    }
    const name = textField(root, 'set')
    if (name !== undefined) {
      const place = lines.placeOf(offsetOfField(root, ['set']))
      set ??= { name, place }
      if (name !== set.name) {
        const message = `the set is ${shownName(name)}, and the one at ${formatPlace(set.place)} is ${shownName(set.name)}`
        report({ ...place, message, hint: 'apply one set at a time' })
      }
    }
  }
}

function textField(root: Node, name: string): string | undefined {
  const node = fieldOf(root, name)?.value
  return node?.kind === 'scalar' && typeof node.value === 'string' && node.value !== '' ? node.value : undefined
}
