import { errorAnswer } from './exchange.js'
import type { Front } from './listener.js'

const LOOPBACK_HOSTS = ['127.0.0.1', 'localhost']

const refused = errorAnswer(
  403,
  'The sandbox refuses this request: it comes from a web page or names a host other than this machine.',
)

/**
 * Refuses what a web page could make a browser send over plain HTTP. Browsers add `Origin` to requests of other sites, and a name
 * that is rebound to 127.0.0.1 arrives as a foreign `Host`. TLS listeners need no such check: the name must match their certificate.
 *
 * @param hosts names beside 127.0.0.1 and localhost under which the listener is addressed
 */
export function localRequestsOnly(front: Front, hosts: readonly string[] = []): Front {
  const known = new Set([...LOOPBACK_HOSTS, ...hosts])
  return (head, socket) => (head.headers.origin === undefined && known.has(head.host) ? front(head, socket) : refused)
}
