import { dirname, join } from 'node:path'
import { RawJson } from '../content.js'
import { decodeText, FileRefused, readConfinedFile } from './confined-file.js'
import { readJson } from './json-tree.js'
import { Lines } from './lines.js'
import { placed, type Problem } from './problem.js'
import { jsonText, type Documents, type Node, type ReadText } from './tree.js'

/** More than the gateway takes, because YAML becomes shorter as JSON. */
export const maxSpecificationBytes = 8 * 1024 * 1024

export interface FileReading {
  /** The service file, as messages name it. */
  readonly file: string
  /** The real folder of the service file. */
  readonly folder: string
  readonly readYaml: ReadText
}

/**
 * Reads a specification beside a service file, and gives its JSON text: of a JSON file byte for byte, because its numbers may be larger than
 * what a 64-bit float holds.
 * @throws FileRefused
 */
export function readSpecification(
  written: string,
  { file, folder, readYaml }: FileReading,
): RawJson | readonly Problem[] {
  const text = decodeText(
    readConfinedFile(written, { folder, extensions: ['.json', '.yaml', '.yml'], maxBytes: maxSpecificationBytes }),
  )
  const isJson = written.toLowerCase().endsWith('.json')
  if (isJson) {
    const raw = text.trim()
    const names = namesOfJsonObject(raw)
    if (names !== undefined) {
      requireSpecification(names)
      return new RawJson(raw)
    }
  }
  const { roots, problems }: Documents = isJson ? readJson(text) : readYaml(text)
  const lines = new Lines(join(dirname(file), written), text)
  if (problems.length > 0) return placed(problems, lines)
  const [root] = roots
  if (root?.kind !== 'map') throw new FileRefused('it is not a mapping')
  if (roots.length > 1) throw new FileRefused('it has more than one document')
  requireSpecification(root.fields.map(({ name }) => name))
  return new RawJson(jsonText(root, text))
}

/** Any other file may hold what is not meant for the Registry: a kubeconfig is YAML too. @throws FileRefused */
function requireSpecification(names: readonly string[]): void {
  if (names.some((name) => isSpecificationField(name))) return
  throw new FileRefused('it is not a specification: it has none of openapi, swagger, asyncapi and $Version (OData)')
}

function isSpecificationField(name: string): boolean {
  return /^(?:openapi|swagger|asyncapi)$/i.test(name) || name === '$Version'
}

/** Whether a document is a specification, and so not a service. */
export function isSpecification(root: Node): boolean {
  return root.kind === 'map' && root.fields.some(({ name }) => isSpecificationField(name))
}

function namesOfJsonObject(text: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : undefined
  } catch {
    return undefined
  }
}

/** Reads a Markdown file below the real folder of a service file. @throws FileRefused */
export function readMarkdown(written: string, folder: string): string {
  return decodeText(
    readConfinedFile(written, { folder, extensions: ['.md', '.markdown'], maxBytes: maxSpecificationBytes }),
  )
}

/** Whether the text of a document is the path of a Markdown file. */
export function isMarkdownPath(text: string): boolean {
  return /^\.\.?\/[^\n]*\.(?:md|markdown)$/i.test(text)
}
