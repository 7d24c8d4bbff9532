import { RawJson, SecretReference, type Content } from '../content.js'
import type { DesiredService } from '../desired-service.js'
import { FileRefused } from './confined-file.js'
import { formatPath, nodeAt, offsetOfField, type FieldPath } from './field-path.js'
import type { Lines } from './lines.js'
import type { Problem } from './problem.js'
import { schemaProblems, type FieldProblem } from './schema-problems.js'
import { hasReference, parseReference } from './secret-reference.js'
import { contentFields, type FieldRole, type Shape } from './service-fields.js'
import { hasPassword, isAcceptedUrl } from './service-url.js'
import { isMarkdownPath, readMarkdown, readSpecification } from './specification.js'
import { fieldOf, jsonText, maxProblems, type Node, type ReadText } from './tree.js'

/** One document of a service file. */
export interface ServiceDocument {
  readonly root: Node
  readonly text: string
  readonly file: string
  readonly lines: Lines
  /** The real folder of the file; found when it is needed. */
  readonly folder: () => string
}

/**
 * Reads a service with everything that it refers to but its secrets. All problems of the document are reported; with one, the result
 * means nothing.
 */
export function readServiceDocument(
  document: ServiceDocument,
  readYaml: ReadText,
  report: (problem: Problem) => void,
): DesiredService | undefined {
  const reader = new DocumentReader(document, readYaml)
  const service = reader.read()
  reader.problems.forEach(report)
  return reader.problems.length === 0 ? service : undefined
}

class DocumentReader {
  readonly problems: Problem[] = []
  readonly #document: ServiceDocument
  readonly #readYaml: ReadText

  constructor(document: ServiceDocument, readYaml: ReadText) {
    this.#document = document
    this.#readYaml = readYaml
  }

  read(): DesiredService | undefined {
    const { root, lines } = this.#document
    for (const problem of schemaProblems(root)) this.#add(problem)
    if (root.kind !== 'map') return undefined
    const content: Record<string, Content> = {}
    for (const [name, shape] of contentFields) {
      const field = fieldOf(root, name)
      if (field !== undefined) content[name] = this.#content(field.value, [name], shape)
    }
    const labels = this.#labels(fieldOf(root, 'labels')?.value)
    const set = this.#plainText('set')
    return {
      identifier: this.#plainText('identifier') ?? '',
      name: this.#plainText('name') ?? '',
      set,
      labels,
      content,
      get place() {
        return lines.placeOf(root.start)
      },
      placeOf: (path) => lines.placeOf(offsetOfField(root, path)),
    }
  }

  #plainText(name: string): string | undefined {
    const node = fieldOf(this.#document.root, name)?.value
    return node?.kind === 'scalar' && typeof node.value === 'string' ? node.value : undefined
  }

  #labels(node: Node | undefined): Record<string, string> {
    const labels: [string, string][] = []
    for (const { name, value } of node?.kind === 'map' ? node.fields : []) {
      if (name === 'connected-app' || name.startsWith('kyconnect-')) {
        const owner = name === 'connected-app' ? 'the Registry' : 'kyconnect'
        this.#add({
          path: ['labels', name],
          at: 'name',
          message: `${formatPath(['labels', name])} is reserved for ${owner}`,
        })
      }
      if (value.kind === 'scalar' && typeof value.value === 'string') {
        this.#checkText(value.value, ['labels', name])
        labels.push([name, value.value])
      }
    }
    return Object.fromEntries(labels)
  }

  #content(node: Node, path: FieldPath, shape: Shape | undefined): Content {
    const role = shape?.role
    if (role === 'spec') return this.#spec(node, path)
    switch (node.kind) {
      case 'map':
        return Object.fromEntries(
          node.fields.map(({ name, value }) => [name, this.#content(value, [...path, name], shape?.fields?.get(name))]),
        )
      case 'list':
        return node.items.map((item, index) => this.#content(item, [...path, index], shape?.items))
      case 'scalar':
        if (typeof node.value !== 'string') return node.value
        if (role === 'secret') return this.#secret(node.value, path)
        if (role === 'markdown') return this.#markdown(node.value, path)
        this.#checkText(node.value, path)
        if (role !== undefined) this.#checkUrl(node.value, path, role)
        return node.value
    }
  }

  #spec(node: Node, path: FieldPath): Content {
    if (node.kind !== 'scalar') return new RawJson(jsonText(node, this.#document.text))
    const { value } = node
    if (typeof value !== 'string') return new RawJson('null')
    if (value === '') {
      this.#add({ path, at: 'value', message: `${formatPath(path)} must not be empty` })
      return null
    }
    if (/^https?:\/\//i.test(value)) {
      this.#add({
        path,
        at: 'value',
        message: `${formatPath(path)} is a URL, not a file`,
        hint:
          path[0] === 'api'
            ? 'name it in api.specificationUrl, or download it: kyconnect services init --from <url>'
            : 'download it: kyconnect services init --from <url>',
      })
      return null
    }
    const read = this.#readFile(path, (folder) =>
      readSpecification(value, { file: this.#document.file, folder, readYaml: this.#readYaml }),
    )
    if (read === undefined || read instanceof RawJson) return read ?? null
    this.problems.push(...read)
    return null
  }

  #markdown(text: string, path: FieldPath): Content {
    if (!isMarkdownPath(text)) return text
    return this.#readFile(path, (folder) => readMarkdown(text, folder)) ?? null
  }

  #readFile<Result>(path: FieldPath, read: (folder: string) => Result): Result | undefined {
    try {
      return read(this.#document.folder())
    } catch (error) {
      if (!(error instanceof FileRefused)) throw error
      this.#add({ path, at: 'value', message: `the file of ${formatPath(path)} cannot be used: ${error.message}` })
      return undefined
    }
  }

  #secret(text: string, path: FieldPath): Content {
    const reference = parseReference(text, this.#document.folder)
    if (reference instanceof SecretReference) return reference
    this.#add({ path, at: 'value', ...reference, message: `${formatPath(path)} ${reference.message}` })
    return null
  }

  #checkText(text: string, path: FieldPath): void {
    if (!hasReference(text)) return
    this.#add({
      path,
      at: 'value',
      message: `${formatPath(path)} must not refer to a secret`,
      hint: 'secrets are allowed in username, password, clientId and clientSecret only',
    })
  }

  #checkUrl(url: string, path: FieldPath, role: FieldRole): void {
    if (url === '' || hasReference(url)) return
    const name = formatPath(path)
    if (hasPassword(url)) {
      this.#add({
        path,
        at: 'value',
        message: `${name} has a password in it`,
        hint: 'give the password in api.credentials.basic, as a reference',
      })
    } else if (role === 'fetched-url') {
      // With a specification, the Registry does not fetch another.
      if (nodeAt(this.#document.root, ['api', 'spec']) !== undefined) return
      if (!isFetchable(url))
        this.#add({
          path,
          at: 'value',
          message: `${name} is not an http or https URL, so the Registry cannot fetch it`,
          hint: 'give a URL such as https://orders.example/openapi.json',
        })
    } else if (!isAcceptedUrl(url)) {
      this.#add({
        path,
        at: 'value',
        message: `${name} is not a URL that the Registry accepts`,
        hint: 'give a URL such as https://orders.example/v1',
      })
    }
  }

  #add({ path, at, message, hint }: FieldProblem): void {
    if (this.problems.length >= maxProblems) return
    const { root, lines } = this.#document
    const value = at === 'value' ? nodeAt(root, path) : undefined
    const offset =
      value === undefined || (value.kind === 'scalar' && value.start === value.end)
        ? offsetOfField(root, path)
        : value.start
    this.problems.push({ message, ...lines.placeOf(offset), ...(hint !== undefined && { hint }) })
  }
}

function isFetchable(url: string): boolean {
  return /^https?:\/\/[^\s/?#]/i.test(url) && !/[\s\p{Cc}]/u.test(url) && URL.canParse(url)
}
