import type { DesiredService } from './desired-service.js'
import { objectIn } from './content-fields.js'
import { fetchedFrom } from './parts.js'

/** One complaint of the Registry, and the field that it is about; an empty path is the whole service. */
export interface RefusedField {
  readonly path: readonly string[]
  /** The Registry's words. */
  readonly text: string
}

const structure = 'Incorrect structure of service definition, '
const prefixes = ['Failed to validate request body, ', 'Failed to unmarshal request body, ', structure]

/**
 * Finds the fields that a refusal of the Registry is about, in the forms that its texts have (docs/contract.md §9). A text that
 * has none of the forms is about the whole service.
 * @param said the Registry's text
 */
export function refusedFields(said: string, status: number, service: DesiredService): readonly RefusedField[] {
  if (status === 409) return [{ path: ['identifier'], text: said }]
  if (status === 502) {
    const field = fetchedFrom(service)
    return [{ path: field === undefined ? [] : ['api', field], text: said }]
  }
  const rest = prefixes.reduce((text, prefix) => (text.startsWith(prefix) ? text.slice(prefix.length) : text), said)
  // Only these texts are joined by semicolons; values that they quote may hold semicolons too.
  if (!said.includes(structure)) return [{ path: pathIn(rest, service) ?? [], text: rest }]
  const found: { path: readonly string[]; text: string }[] = []
  for (const text of rest.split(';')) {
    const path = pathIn(text, service)
    const last = found.at(-1)
    if (path === undefined && last !== undefined) last.text += `;${text}`
    else found.push({ path: path ?? [], text })
  }
  return found
}

const emptyField: Readonly<Record<string, readonly string[]>> = {
  'Provider field cannot be empty.': ['provider'],
  'Name field cannot be empty.': ['name'],
  'Description field cannot be empty.': ['description'],
  'targetUrl field cannot be empty.': ['api', 'targetUrl'],
  'spec cannot be empty': ['events', 'spec'],
  'oauth url field cannot be empty': ['api', 'credentials', 'oauth', 'url'],
  'oauth clientId field cannot be empty': ['api', 'credentials', 'oauth', 'clientId'],
  'oauth clientSecret field cannot be empty': ['api', 'credentials', 'oauth', 'clientSecret'],
  'basic auth username field cannot be empty': ['api', 'credentials', 'basic', 'username'],
  'basic auth password field cannot be empty': ['api', 'credentials', 'basic', 'password'],
}

function pathIn(text: string, service: DesiredService): readonly string[] | undefined {
  const exact = Object.hasOwn(emptyField, text) ? emptyField[text] : undefined
  if (exact !== undefined) return exact
  if (text.startsWith('api.Credentials is invalid')) return ['api', 'credentials']
  const [, owner] = /^(api|events)\.Spec is not /.exec(text) ?? []
  if (owner !== undefined) return [owner, 'spec']
  const [, documentationField] = /^(\w+) field cannot be empty in documentation$/.exec(text) ?? []
  if (documentationField !== undefined) return ['documentation', documentationField]
  const [, urlField] = /^(targetUrl|url|tokenEndpointURL)(?:: | field cannot be empty)/.exec(text) ?? []
  if (urlField === 'targetUrl') return ['api', 'targetUrl']
  if (urlField === 'url') return ['api', 'credentials', 'oauth', 'url']
  if (urlField === 'tokenEndpointURL') return [...credentialsPath(service), 'csrfInfo', 'tokenEndpointURL']
  // Go names the struct, then the path: "Go struct field API.api.targetUrl of type string".
  const [, goPath] = /Go struct field \w+\.([\w.]+) of type /.exec(text) ?? []
  return goPath?.split('.')
}

function credentialsPath({ content }: DesiredService): readonly string[] {
  const credentials = objectIn(objectIn(content['api'])?.['credentials']) ?? {}
  const kind = ['oauth', 'basic', 'certificateGen'].find((name) => Object.hasOwn(credentials, name))
  return kind === undefined ? ['api', 'credentials'] : ['api', 'credentials', kind]
}
