import { oneLine } from '../redaction.js'

/** The JSON object a text holds; undefined when it holds none. */
export function parseObject(text: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

/** A member that is itself an object; an empty one where there is none. */
export function member(value: object, name: string): object {
  const found: unknown = Reflect.get(value, name)
  return typeof found === 'object' && found !== null ? found : {}
}

/** A member that is a string with something in it. */
export function text(value: object, name: string): string | undefined {
  const found: unknown = Reflect.get(value, name)
  return typeof found === 'string' && found !== '' ? found : undefined
}

/** What a Status object says, on one line. */
export function said(body: object): string {
  return oneLine(text(body, 'message') ?? '').slice(0, 400)
}

/** The objects in a member that is a list. */
export function objects(value: object, name: string): object[] {
  const list: unknown = Reflect.get(value, name)
  return Array.isArray(list) ? list.filter((item): item is object => typeof item === 'object' && item !== null) : []
}
