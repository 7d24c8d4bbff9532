import { UsageError } from '../../../errors.js'
import type { Endpoint } from '../../../gateway/endpoint-url.js'

/**
 * Refuses a body that a service would accept and misread: several events, of which only the first is published
 * (docs/contract.md §10), and a service with starred credentials, which would overwrite the real ones (§9 and §12, trap 13).
 * What the service itself refuses, such as invalid JSON, is not checked here.
 * @throws UsageError
 */
export function checkBody(endpoint: Endpoint, body: string): void {
  const end = endOfFirstValue(body)
  let first: unknown
  try {
    first = JSON.parse(body.slice(0, end))
  } catch {
    return
  }
  if (endpoint === 'events') checkSingle(body.slice(end))
  if (endpoint === 'metadata') checkCredentials(first)
}

function checkSingle(rest: string): void {
  if (rest.trim() === '') return
  const isAnother = /^\s*[,{[]/.test(rest)
  throw new UsageError(
    isAnother
      ? '--data holds several JSON documents: the service would publish only the first'
      : '--data holds more than a JSON document: the service would ignore what follows it',
    {
      hints: isAnother
        ? ['send one event at a time: jq -c . events.json | while read -r e; do kyconnect call events -d "$e"; done']
        : ['remove what follows the JSON document'],
    },
  )
}

const stars = '********'

/** Field names match in any case, as they do for the Registry, which is written in Go. */
function checkCredentials(service: unknown): void {
  for (const api of membersNamed([service], 'api')) {
    const pending = [...membersNamed([api], 'credentials'), ...membersNamed([api], 'specificationcredentials')]
    for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
      if (value === stars) {
        throw new UsageError('--data has "********" as a credential: the Registry would store the stars', {
          hints: [
            'put the real credentials into the file: the Registry never returns them',
            'to store the stars all the same, add --allow-starred',
          ],
        })
      }
      if (typeof value === 'object' && value !== null) {
        const members: unknown[] = Object.values(value)
        pending.push(...members)
      }
    }
  }
}

function membersNamed(values: readonly unknown[], name: string): unknown[] {
  return values.flatMap((value) =>
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, member]: [string, unknown]) =>
          key.toLowerCase() === name ? [member] : [],
        )
      : [],
  )
}

/** Where the first JSON value of a text ends, if the text begins with one. */
function endOfFirstValue(text: string): number {
  const start = text.search(/\S/)
  if (start < 0) return text.length
  if (text[start] === '"') return endOfString(text, start)
  if (text[start] !== '{' && text[start] !== '[') {
    const length = text.slice(start).search(/[\s,{["]/)
    return length <= 0 ? text.length : start + length
  }
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = endOfString(text, at) - 1
    else if (character === '{' || character === '[') depth++
    else if ((character === '}' || character === ']') && --depth === 0) return at + 1
  }
  return text.length
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return Math.min(at + 1, text.length)
}
