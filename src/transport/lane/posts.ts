import { userAgent } from '../user-agent.js'

/** The beginning of each POST of JSON to a URL, up to the digits of its Content-Length. */
export function postHead(url: URL): Buffer {
  return Buffer.from(
    [
      `POST ${url.pathname}${url.search} HTTP/1.1`,
      `host: ${url.host}`,
      `user-agent: ${userAgent}`,
      'content-type: application/json',
      'content-length: ',
    ].join('\r\n'),
    'latin1',
  )
}

const afterLength = Buffer.from('\r\n\r\n', 'latin1')

/** The bytes of several POSTs, one after the other: one write and one TLS record cost less than one of each per request. */
export function joinPosts(head: Uint8Array, bodies: readonly Uint8Array[]): Buffer {
  let size = 0
  for (const body of bodies) size += head.length + digitsOf(body.length) + afterLength.length + body.length
  const posts = Buffer.allocUnsafe(size)
  let at = 0
  for (const body of bodies) {
    posts.set(head, at)
    at += head.length
    const end = at + digitsOf(body.length)
    for (let rest = body.length, digit = end - 1; digit >= at; digit--) {
      posts[digit] = 48 + (rest % 10)
      rest = Math.floor(rest / 10)
    }
    posts.set(afterLength, end)
    posts.set(body, end + afterLength.length)
    at = end + afterLength.length + body.length
  }
  return posts
}

function digitsOf(length: number): number {
  let digits = 1
  for (let rest = length; rest >= 10; rest = Math.floor(rest / 10)) digits++
  return digits
}
