import type { Socket } from 'node:net'

const mebi = 1024 * 1024

/** An answer that a well-behaved service never gives. It writes to the socket what follows the request, and may go on until the socket closes. */
export interface HostileAnswer {
  readonly name: string
  readonly answer: (socket: Socket) => void
}

function raw(name: string, text: string | Buffer): HostileAnswer {
  return {
    name,
    answer: (socket) => {
      socket.write(text)
    },
  }
}

/** An answer that is complete. It closes the connection: past Node's own server, no later request on it would be answered. */
function whole(name: string, status: number, type: string, body: string): HostileAnswer {
  const head = `HTTP/1.1 ${status} Hostile\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`
  return {
    name,
    answer: (socket) => {
      socket.end(head + body)
    },
  }
}

/** Writes piece after piece until the client has gone; waits where it reads slowly. */
function endless(name: string, head: string, piece: string, pauseMs: number): HostileAnswer {
  return {
    name,
    answer: (socket) => {
      socket.write(head)
      const next = (): void => {
        if (socket.destroyed) return
        if (!socket.write(piece)) socket.once('drain', () => setTimeout(next, pauseMs))
        else setTimeout(next, pauseMs)
      }
      next()
    },
  }
}

const html = 'text/html'
const json = 'application/json'
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const signed = (crt: string, rest = crt): string =>
  JSON.stringify({ crt: base64(crt), clientCrt: base64(rest), caCrt: base64(rest) })

/** Certificates that differ in their last bytes, the signature's, so that no two have the same fingerprint. */
function distinct(certificate: string, count: number): string {
  const der = Buffer.from(certificate.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64')
  return Array.from({ length: count }, (_, index) => {
    der.writeUInt16BE(index, der.length - 2)
    return `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
  }).join('')
}

/** @param certificate PEM of a certificate, to be multiplied */
export function hostileAnswers(certificate: string): HostileAnswer[] {
  return [
    { name: 'silence', answer: () => undefined },
    endless('a header that arrives byte by byte', 'HTTP/1.1 200 OK\r\nx: ', 'a', 100),
    endless('headers without an end', 'HTTP/1.1 200 OK\r\n', `x-y: ${'z'.repeat(1000)}\r\n`, 0),
    endless('a body that arrives byte by byte', 'HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n', ' ', 100),
    endless(
      'a chunked body without an end',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
      `10000\r\n${' '.repeat(65536)}\r\n`,
      0,
    ),
    endless('100 Continue without an end', '', 'HTTP/1.1 100 Continue\r\n\r\n', 0),
    whole('an HTML page of opening brackets', 502, html, '<'.repeat(400_000)),
    whole('a refusal of opening brackets', 400, html, '<'.repeat(mebi - 100)),
    whole('an HTML page of titles', 400, html, '<title>'.repeat(140_000)),
    whole('an HTML page of blanks', 500, html, `<html>${' '.repeat(mebi - 100)}`),
    whole('JSON nested without an end', 200, json, '['.repeat(mebi - 100)),
    whole('JSON nested deeply, and closed', 200, json, '['.repeat(400_000) + ']'.repeat(400_000)),
    whole('PEM of blanks', 201, json, signed(`-----BEGIN CERTIFICATE-----${' '.repeat(180_000)}`)),
    whole('many beginnings of PEM', 201, json, signed('-----BEGIN CERTIFICATE-----\n '.repeat(8000))),
    whole('a chain of very many certificates', 201, json, signed(distinct(certificate, 800), certificate)),
    whole('terminal escapes without an end', 400, 'text/plain', '\x1b]0;'.repeat(250_000)),
    whole('tokens without an end', 400, 'text/plain', 'token='.repeat(170_000)),
    whole('what looks like tokens', 400, 'text/plain', `${'A'.repeat(85)} `.repeat(12_000)),
    whole(
      'a subject of very many attributes',
      200,
      json,
      JSON.stringify({
        csrUrl: 'https://connector-service.kyma.local/v1/applications/certificates?token=x',
        api: { infoUrl: 'https://gateway.kyma.local/v1/applications/management/info' },
        certificate: { subject: `CN=${'\\,'.repeat(100_000)}${',O=a'.repeat(60_000)}`, 'key-algorithm': 'rsa2048' },
      }),
    ),
    raw('a bad status line', 'HTTP/2.0 banana\r\n\r\n'),
    raw('status 000', 'HTTP/1.1 000 Zero\r\ncontent-length: 2\r\n\r\n{}'),
    raw('status 1000', 'HTTP/1.1 1000 Many\r\ncontent-length: 2\r\n\r\n{}'),
    raw('a bad chunk size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n'),
    raw('a bad content length', 'HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n{}'),
    raw('two content lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} '),
    raw(
      'a body longer than the data',
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{',
    ),
    raw('random bytes', Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919 + 13) % 256))),
  ]
}
