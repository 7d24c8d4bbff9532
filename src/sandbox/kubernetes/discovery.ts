import type { Answer } from '../http/exchange.js'
import type { JsonObject } from './json.js'
import { jsonAnswer } from './refusal.js'
import { groupVersion, type Resource } from './resources.js'

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']
const NAME_ONLY_VERBS = ['get', 'list']

const VERSION = {
  major: '1',
  minor: '20',
  gitVersion: 'v1.20.0+kyconnect-sandbox',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: '',
}

/** Without descriptions of types kubectl leaves validation to the server. */
const OPENAPI_V2 = { swagger: '2.0', info: { title: 'Kubernetes', version: VERSION.gitVersion }, paths: {} }
const PROTOBUF = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'

/** Gives the function that answers requests for versions, health and the list of resources, by path and Accept header. */
export function createDiscovery(resources: readonly Resource[]): (path: string, accept: string) => Answer | undefined {
  const groups = [...new Set(resources.map(({ group }) => group))].filter((group) => group !== '')
  const groupOf = (name: string): JsonObject => {
    const [version] = resources.filter(({ group }) => group === name).map(({ version }) => version)
    const entry = { groupVersion: `${name}/${version ?? ''}`, version: version ?? '' }
    return { name, versions: [entry], preferredVersion: entry }
  }
  const documents = new Map<string, JsonObject>([
    ['/version', VERSION],
    ['/openapi/v3', { paths: {} }],
    ['/api', { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }],
    ['/apis', { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(groupOf) }],
    ...groups.map((name): [string, JsonObject] => [
      `/apis/${name}`,
      { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(name) },
    ]),
    ...[...new Set(resources.map(groupVersion))].map((version): [string, JsonObject] => [
      version.includes('/') ? `/apis/${version}` : `/api/${version}`,
      {
        kind: 'APIResourceList',
        apiVersion: 'v1',
        groupVersion: version,
        resources: resources.filter((resource) => groupVersion(resource) === version).map(entryOf),
      },
    ]),
  ])
  return (path, accept) => {
    if (/^\/(healthz|livez|readyz)$/.test(path))
      return { status: 200, headers: { 'content-type': 'text/plain' }, body: 'ok' }
    if (path === '/openapi/v2') {
      return accept.includes(PROTOBUF)
        ? // An empty body is an empty document.
          { status: 200, headers: { 'content-type': PROTOBUF.replace('@', '.') }, body: '' }
        : jsonAnswer(200, OPENAPI_V2)
    }
    const document = documents.get(path)
    return document && jsonAnswer(200, document)
  }
}

function entryOf(resource: Resource): JsonObject {
  const { plural, kind, namespaced, shortNames, nameOnly } = resource
  return {
    name: plural,
    singularName: kind.toLowerCase(),
    namespaced,
    kind,
    verbs: nameOnly === true ? NAME_ONLY_VERBS : VERBS,
    ...(shortNames && { shortNames }),
  }
}
