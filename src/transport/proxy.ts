import { BlockList, isIP } from 'node:net'
import { UsageError } from '../errors.js'

/** Which proxy is used for which hosts. */
export interface ProxySettings {
  /** An http or https URL, perhaps with credentials; null: no proxy. */
  readonly url: URL | null
  /** As curl and Go read NO_PROXY: names, suffixes, addresses, networks, each perhaps with a port; `*` for all. */
  readonly except: readonly string[]
}

export const noProxy: ProxySettings = { url: null, except: [] }

/** Reads a proxy's URL; a host and port alone mean http. Returns undefined for any other text. */
export function parseProxyUrl(text: string): URL | undefined {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  if (!URL.canParse(full)) return undefined
  const url = new URL(full)
  return (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '' ? url : undefined
}

/**
 * Reads the URL of a proxy that a user gave.
 * @param name the flag or variable, for the error, which does not repeat the text: it may hold credentials
 * @throws UsageError
 */
export function readProxyUrl(text: string, name: string): URL {
  const url = parseProxyUrl(text)
  if (url !== undefined) return url
  throw new UsageError(`${name} is not a valid proxy URL`, {
    hints: ['write it as http://<host>:<port> or https://<host>:<port>', 'or use no proxy, with --proxy none'],
  })
}

/** Reads NO_PROXY: a list separated by commas or blanks. */
export function parseNoProxy(text: string): string[] {
  return text.split(/[\s,]/).filter((entry) => entry !== '')
}

/** Where a proxy listens. */
export function proxyPort(proxy: URL): number {
  return proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : Number(proxy.port)
}

/** A proxy as it may be shown: without credentials. */
export function showProxy(proxy: URL): string {
  return `${proxy.protocol}//${proxy.hostname}:${proxyPort(proxy)}`
}

/** The value of Proxy-Authorization; undefined when the URL holds no credentials. */
export function proxyAuthorization({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  return `Basic ${Buffer.from(`${decode(username)}:${decode(password)}`).toString('base64')}`
}

/** Decodes percent-encoding; text that is not valid percent-encoding is used literally. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The proxy for a host (IPv6 without brackets) and a port; null when the host is excepted or there is no proxy. */
export function proxyFor({ url, except }: ProxySettings, host: string, port: number): URL | null {
  return url === null || except.some((entry) => isExcepted(entry, host.toLowerCase(), port)) ? null : url
}

function isExcepted(entry: string, host: string, port: number): boolean {
  if (entry === '*') return true
  const [name, ofPort] = splitPort(entry.toLowerCase())
  if (ofPort !== undefined && ofPort !== port) return false
  if (isIP(host) !== 0) return isInNetwork(name, host)
  const suffix = name.replace(/^\*?\./, '')
  return suffix !== '' && (host === suffix || host.endsWith(`.${suffix}`))
}

/** `name:port`, `[address]:port`, or a name, address or network alone. */
function splitPort(entry: string): [string, number | undefined] {
  const [, bracketed, ofBracketed] = /^\[([^\]]*)\](?::(\d{1,5}))?$/.exec(entry) ?? []
  if (bracketed !== undefined) return [bracketed, ofBracketed === undefined ? undefined : Number(ofBracketed)]
  const [, name, port] = /^([^:]*):(\d{1,5})$/.exec(entry) ?? []
  return name === undefined ? [entry, undefined] : [name, Number(port)]
}

function isInNetwork(network: string, host: string): boolean {
  const [address = '', bits] = network.split('/', 2)
  const family = isIP(address)
  if (family === 0 || family !== isIP(host)) return false
  if (bits === undefined) return address === host
  const length = Number(bits)
  if (!/^\d{1,3}$/.test(bits) || length > (family === 4 ? 32 : 128)) return false
  const list = new BlockList()
  const name = family === 4 ? 'ipv4' : 'ipv6'
  list.addSubnet(address, length, name)
  return list.check(host, name)
}
