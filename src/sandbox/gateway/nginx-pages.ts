import type { Answer } from '../http/exchange.js'

/** The version in the footer of the recorded pages. Clients must not depend on it. */
const NGINX = 'nginx/1.22.1'

function page(status: number, title: string, heading: string, text?: string): Answer {
  const lines = [
    '<html>',
    `<head><title>${title}</title></head>`,
    '<body>',
    `<center><h1>${heading}</h1></center>`,
    ...(text === undefined ? [] : [`<center>${text}</center>`]),
    `<hr><center>${NGINX}</center>`,
    '</body>',
    '</html>',
    '',
  ]
  return { status, headers: { 'content-type': 'text/html' }, body: lines.join('\r\n') }
}

const badRequest = (text: string): Answer => page(400, `400 ${text}`, '400 Bad Request', text)

/** The pages that the gateway's ingress answers with (docs/contract.md §7). */
export const nginxPages = {
  noCertificate: badRequest('No required SSL certificate was sent'),
  certificateError: badRequest('The SSL certificate error'),
  plainHttp: badRequest('The plain HTTP request was sent to HTTPS port'),
  forbidden: page(403, '403 Forbidden', '403 Forbidden'),
  tooLarge: page(413, '413 Request Entity Too Large', '413 Request Entity Too Large'),
} as const

/** The answer to a request that no ingress rule matches. */
export const defaultBackend: Answer = {
  status: 404,
  headers: { 'content-type': 'text/plain' },
  body: 'default backend - 404',
}

/** Headers on every answer of the gateway host. */
export const GATEWAY_HEADERS = {
  server: NGINX,
  'strict-transport-security': 'max-age=15724800; includeSubDomains',
} as const
