import { parseJsonObject, objects, text as textOf } from '../json.js'
import { oneLine } from '../redaction.js'

/** Characters of a body in which an error text is looked for. */
const maxReadChars = 16 * 1024
const maxTextChars = 300

/** What an error answer says, on one line: the `error` or `message` of JSON, the heading of HTML, else the beginning of the text. */
export function serverText(body: string, contentType: string): string {
  const beginning = body.slice(0, maxReadChars)
  const isHtml = contentType.includes('html') || /^\s*<(?:!doctype|html)/i.test(beginning)
  const line = oneLine(fromJson(beginning) ?? (isHtml ? fromHtml(beginning) : beginning))
  return line.length > maxTextChars ? `${line.slice(0, maxTextChars)}…` : line
}

function fromJson(body: string): string | undefined {
  // Some failures hold two documents (docs/contract.md §12, trap 22): the first line is the error.
  const parsed = parseJsonObject(body) ?? parseJsonObject(body.split('\n', 1)[0] ?? '')
  if (parsed === undefined) return undefined
  const parts = [textOf(parsed, 'error'), textOf(parsed, 'message'), details(parsed)].filter(
    (part) => part !== undefined,
  )
  return parts.length > 0 ? parts.join(': ') : undefined
}

/** The Event service names the field in `details` (docs/contract.md §10). */
function details(answer: object): string | undefined {
  const list = objects(answer, 'details').map((item) =>
    [textOf(item, 'field'), textOf(item, 'message')].filter((part) => part !== undefined).join(': '),
  )
  return list.length > 0 ? list.join('; ') : textOf(answer, 'moreInfo')
}

/** NGINX gives the status in the title and the reason in the middle of the page; others at least have a title. */
function fromHtml(body: string): string {
  const [title = '', ...rest] = [...body.matchAll(/<(?:title|center)>([^<]*)/gi)]
    .map(([, found = '']) => found.trim())
    .filter((found) => found !== '' && !found.startsWith('nginx'))
  return [title, ...rest.filter((found) => !title.includes(found))].join(' / ') || body.replace(/<[^<>]*>/g, ' ')
}
