import { AnswerMalformedError } from '../errors.js'
import { member, text, valueOf } from '../json.js'
import { contentLabel, parseRemembered, type Remembered, setLabel } from './label.js'

/** A service in the Registry's list (docs/contract.md §9). */
export interface ListedService {
  /** Fit for a path of a URL. */
  readonly id: string
  readonly provider: string
  readonly name: string
  readonly description: string
  /** undefined where it was registered without one: such a service cannot be matched with a file. */
  readonly identifier: string | undefined
  /** With those of the Registry and of kyconnect. */
  readonly labels: Readonly<Record<string, string>>
}

/** The set that a service belongs to; undefined for a service that kyconnect did not register. */
export function setOf({ labels }: ListedService): string | undefined {
  return text(labels, setLabel)
}

/** What was applied last; undefined where the labels do not say, or say it in the form of another version of kyconnect. */
export function rememberedOf({ labels }: ListedService): Remembered | undefined {
  return parseRemembered(text(labels, contentLabel) ?? '')
}

/** Reads the answer to a GET of the list. @throws AnswerMalformedError */
export function parseList(body: string, host: string): readonly ListedService[] {
  const list = parseJson(body)
  if (!Array.isArray(list)) throw malformed(host, 'it is not a list in JSON')
  const ids = new Set<string>()
  return list.map((item: unknown) => {
    if (typeof item !== 'object' || item === null) throw malformed(host, 'an entry of the list is not an object')
    const id = parseId(item)
    if (id === undefined) throw malformed(host, 'an entry of the list has no usable id')
    if (ids.has(id)) throw malformed(host, `the list has the id ${id} twice`)
    ids.add(id)
    // These decide what is deleted: nothing is guessed.
    if (!isTextOrAbsent(valueOf(item, 'identifier'))) throw malformed(host, `the identifier of ${id} is not text`)
    if (!Object.values(member(item, 'labels')).every(isText)) throw malformed(host, `the labels of ${id} are not text`)
    return { id, ...parseBase(item) }
  })
}

/** A service's id; undefined unless it is one that can be part of a path. Real ones are UUIDs. */
export function parseId(answer: object): string | undefined {
  const id = text(answer, 'id')
  return id !== undefined && isId(id) ? id : undefined
}

export function isId(id: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(id)
}

/** The fields that the list and a single service have in common. */
export function parseBase(item: object): Omit<ListedService, 'id'> {
  return {
    provider: text(item, 'provider') ?? '',
    name: text(item, 'name') ?? '',
    description: text(item, 'description') ?? '',
    identifier: text(item, 'identifier'),
    labels: Object.fromEntries(
      Object.entries(member(item, 'labels')).filter((label): label is [string, string] => typeof label[1] === 'string'),
    ),
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || value === null || isText(value)
}

/** The value of a JSON text; undefined for any other text. */
function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

function malformed(host: string, problem: string): AnswerMalformedError {
  return new AnswerMalformedError(`the list of services from ${host} cannot be used: ${problem}`, {
    hints: ['check what runs in front of the service, and run the command again with --verbose'],
  })
}
