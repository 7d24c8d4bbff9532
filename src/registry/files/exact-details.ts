import { member } from '../../json.js'
import { RawJson } from '../content.js'
import type { RegisteredService } from '../registered-service.js'
import { nodeAt } from './field-path.js'
import { readJson } from './json-tree.js'
import { jsonText } from './tree.js'

/** What the Registry returned for a service, with its identifier, and with the specs as their bytes: numbers beyond 2^53 stay what they are. */
export function exactDetails({ details, identifier, json }: RegisteredService): object {
  const [root] = readJson(json).roots
  const exact = { ...details, ...(identifier === undefined ? {} : { identifier }) }
  if (root === undefined) return exact
  const withSpec = (part: 'api' | 'events'): object => {
    const spec = nodeAt(root, [part, 'spec'])
    return spec === undefined ? {} : { [part]: { ...member(details, part), spec: new RawJson(jsonText(spec, json)) } }
  }
  return { ...exact, ...withSpec('api'), ...withSpec('events') }
}
