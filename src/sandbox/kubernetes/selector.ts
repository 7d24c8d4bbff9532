import { objectAt } from './json.js'
import { namespaceOf, type KubernetesObject } from './object.js'
import { badRequest } from './refusal.js'

export type Selector = (object: KubernetesObject) => boolean

/** The objects that `fieldSelector` and `labelSelector` of a list or watch select. Of the operators only equality is known. */
export function selectorOf(query: URLSearchParams): Selector {
  const tests = [
    ...termsOf(query.get('fieldSelector')).map(fieldTest),
    ...termsOf(query.get('labelSelector')).map(labelTest),
  ]
  return (object) => tests.every((test) => test(object))
}

/** The name that a list or watch is limited to; '' when there is none. */
export function selectedName(query: URLSearchParams): string {
  return /(?:^|,)metadata\.name==?([^,]+)/.exec(query.get('fieldSelector') ?? '')?.[1] ?? ''
}

const termsOf = (text: string | null): readonly string[] => (text === null || text === '' ? [] : text.split(','))

function fieldTest(term: string): Selector {
  const [, field, operator, value = ''] = /^([^=!]+)(==?|!=)(.*)$/.exec(term) ?? []
  const read = FIELDS.get(field ?? '')
  if (read === undefined) throw badRequest(`field label not supported: ${field ?? term}`)
  return (object) => (read(object) === value) === (operator !== '!=')
}

const FIELDS = new Map<string, (object: KubernetesObject) => string>([
  ['metadata.name', ({ metadata }) => metadata.name],
  ['metadata.namespace', namespaceOf],
])

function labelTest(term: string): Selector {
  const [, not, bare, name = bare ?? '', operator, value] =
    /^(?:(!?)([\w./-]+)|([\w./-]+)\s*(==?|!=)\s*([\w.-]*))$/.exec(term.trim()) ?? []
  if (name === '') throw badRequest(`unable to parse requirement: the sandbox supports equality only, not "${term}"`)
  return ({ metadata }) => {
    const label = objectAt(metadata, 'labels')[name]
    if (operator === undefined) return (label !== undefined) === (not !== '!')
    return (label === value) === (operator !== '!=')
  }
}
