import { text, valueOf } from '../json.js'
import { stripControl } from '../redaction.js'

const longest = 300

/** What an error answer says, on one line: the `error` or `message` of JSON, the heading of HTML, else the beginning of the text. */
export function serverText(body: string, contentType: string): string {
  const text =
    fromJson(body) ?? (contentType.includes('html') || /^\s*<(!doctype|html)/i.test(body) ? fromHtml(body) : body)
  const line = stripControl(text).replace(/\s+/g, ' ').trim()
  return line.length > longest ? `${line.slice(0, longest)}…` : line
}

function fromJson(body: string): string | undefined {
  // Some failures hold two documents (docs/contract.md §12, trap 22): the first line is the error.
  for (const candidate of [body, body.split('\n', 1)[0] ?? '']) {
    try {
      const parsed: unknown = JSON.parse(candidate)
      if (typeof parsed !== 'object' || parsed === null) return undefined
      const said = [field(parsed, 'error'), field(parsed, 'message'), details(parsed)].filter((part) => part !== '')
      return said.length > 0 ? said.join(': ') : undefined
    } catch {
      continue
    }
  }
  return undefined
}

function field(value: object, name: string): string {
  return text(value, name) ?? ''
}

/** The Event service names the field in `details` (docs/contract.md §10). */
function details(value: object): string {
  const list: unknown = valueOf(value, 'details')
  if (!Array.isArray(list)) return field(value, 'moreInfo')
  return list
    .filter((item): item is object => typeof item === 'object' && item !== null)
    .map((item) => [field(item, 'field'), field(item, 'message')].filter((part) => part !== '').join(': '))
    .join('; ')
}

/** NGINX says it in the title, and the reason again in the middle of the page; others at least have a title. */
function fromHtml(body: string): string {
  const [title = '', ...rest] = [...body.matchAll(/<(?:title|center)>([^<]*)/gi)]
    .map(([, text = '']) => text.trim())
    .filter((text) => text !== '' && !text.startsWith('nginx'))
  return [title, ...rest.filter((text) => !title.includes(text))].join(' / ') || body.replace(/<[^>]*>/g, ' ')
}
