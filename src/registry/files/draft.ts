import { UsageError } from '../../errors.js'
import { nodeAt, type FieldPath } from './field-path.js'
import { readJson } from './json-tree.js'
import { Lines } from './lines.js'
import { placed, serviceFilesError } from './problem.js'
import { schemaComment } from './schema-comment.js'
import { isAcceptedUrl } from './service-url.js'
import { slugOf } from './slug.js'
import type { Node } from './tree.js'
import { formatYaml, YamlMap } from './yaml-text.js'
import { loadYamlReader } from './yaml-tree.js'

export interface DraftSource {
  /** The text of an OpenAPI 2 or 3, or AsyncAPI document, in YAML or JSON. */
  readonly text: string
  /** The name of the file that has the text; it is in the same folder as the service file. */
  readonly fileName: string
  /** Where the text came from, when that is a URL: relative server URLs are resolved against it. */
  readonly url?: URL
  /** Used instead of the servers that the document names. */
  readonly targetUrl?: string
  /** Used in the comment for editors: the relative path of schema/service.schema.json; undefined: no comment. */
  readonly schema: string | undefined
}

export interface Draft {
  readonly identifier: string
  /** A service file that applies as it is. */
  readonly text: string
}

/**
 * Writes a service file for a specification. Only the title, the description, the contact and the servers are read.
 * @throws ServiceFilesError the text is not valid YAML or JSON
 * @throws UsageError it is not a specification, or names no server
 */
export async function draftService(source: DraftSource): Promise<Draft> {
  const { fileName, schema } = source
  const root = await readRoot(source)
  const textAt = (...path: FieldPath): string | undefined => textOf(nodeAt(root, path))
  const title = textAt('info', 'title') ?? fileName.split('.', 1)[0] ?? fileName
  const identifier = slugOf(title)
  const isEvents = hasField(root, 'asyncapi')
  const spec: [string, string] = ['spec', `./${fileName}`]
  const text = formatYaml(
    new YamlMap([
      ['identifier', identifier],
      ['name', title],
      ['provider', textAt('info', 'contact', 'name') ?? title],
      ['description', textAt('info', 'description') ?? title],
      isEvents
        ? ['events', new YamlMap([spec])]
        : ['api', new YamlMap([['targetUrl', targetUrlOf(root, source)], spec])],
    ]),
  )
  return { identifier, text: `${schemaComment(schema)}${text}` }
}

async function readRoot({ text: raw, fileName }: DraftSource): Promise<Node> {
  const text = raw.replace(/^\uFEFF/, '')
  const { roots, problems } =
    /^\s*\{/.test(text) && fileName.endsWith('.json') ? readJson(text) : (await loadYamlReader())(text)
  if (problems.length > 0) {
    throw serviceFilesError(placed(problems, new Lines(fileName, text)))
  }
  const [root] = roots
  if (
    root !== undefined &&
    roots.length === 1 &&
    ['openapi', 'swagger', 'asyncapi'].some((name) => hasField(root, name))
  )
    return root
  throw new UsageError(`${fileName} is not a specification: it has none of openapi, swagger and asyncapi`, {
    hints: ['give an OpenAPI 2 or 3 document, or an AsyncAPI document, in YAML or JSON'],
  })
}

function hasField(root: Node, name: string): boolean {
  return nodeAt(root, [name]) !== undefined
}

function textOf(node: Node | undefined): string | undefined {
  return node?.kind === 'scalar' && typeof node.value === 'string' && node.value.trim() !== '' ? node.value : undefined
}

/** The first server URL that is absolute, or becomes so by the URL of the document. */
function targetUrlOf(root: Node, { fileName, url, targetUrl }: DraftSource): string {
  if (targetUrl !== undefined) {
    if (isAcceptedUrl(targetUrl)) return targetUrl
    throw new UsageError('the target URL is not a URL that the Registry accepts', {
      hints: ['give a URL such as https://orders.example/v1'],
    })
  }
  const found = [...openApiServers(root), ...swaggerServers(root, url)]
    .map((server) => absolute(server, url))
    .find((server) => server !== undefined)
  if (found !== undefined) return found
  throw new UsageError(`${fileName} does not name the server of the API with an absolute URL`, {
    hints: ['name it: --target-url https://…'],
  })
}

function openApiServers(root: Node): string[] {
  const servers = nodeAt(root, ['servers'])
  return (servers?.kind === 'list' ? servers.items : []).flatMap((server) => {
    const template = textOf(nodeAt(server, ['url']))
    return template === undefined
      ? []
      : [
          template.replace(
            /\{([^{}]*)\}/g,
            (whole, name: string) => textOf(nodeAt(server, ['variables', name, 'default'])) ?? whole,
          ),
        ]
  })
}

/** Swagger 2 has the parts of one URL; scheme and host are those of the document's URL when they are absent. */
function swaggerServers(root: Node, url: URL | undefined): string[] {
  if (!hasField(root, 'swagger')) return []
  const schemes = nodeAt(root, ['schemes'])
  const named = (schemes?.kind === 'list' ? schemes.items : []).flatMap((scheme) => textOf(scheme) ?? [])
  const scheme = named.includes('https') ? 'https' : (named[0] ?? url?.protocol.slice(0, -1) ?? 'https')
  const host = textOf(nodeAt(root, ['host'])) ?? url?.host
  const path = textOf(nodeAt(root, ['basePath'])) ?? ''
  return host === undefined ? [] : [`${scheme}://${host}${path === '/' ? '' : path}`]
}

function absolute(server: string, url: URL | undefined): string | undefined {
  // A variable without a default.
  if (server.includes('{')) return undefined
  const isAbsolute = /^https?:\/\//.test(server)
  const isRelative = !isAbsolute && url !== undefined && URL.canParse(server, url.href)
  const whole = isRelative ? new URL(server, url).href : server
  return (isAbsolute || isRelative) && isAcceptedUrl(whole) ? whole : undefined
}
