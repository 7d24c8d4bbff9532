import { get as getHttp, type IncomingMessage } from 'node:http'
import { get as getHttps } from 'node:https'
import { compact, JsonSyntaxError, marshal, marshalObject, unmarshal, type JsonNode } from '../go/json.js'

/** Milliseconds until a fetch is given up (contract §9). */
const FETCH_LIMIT = 5000
/** The sandbox's own limit, in bytes: as much as the ingress lets through in a body. */
const SIZE_LIMIT = 5 * 1024 * 1024
const MAX_REDIRECTS = 10

/** A specification could not be had; the message is what the Registry says of it. */
export class SpecificationError extends Error {}

/** Fetches a specification for a service definition that names its URL. */
export async function fetchSpecification(address: string, limit = FETCH_LIMIT): Promise<string> {
  const shown = encodeURI(address)
  const failed = (reason: string): SpecificationError =>
    new SpecificationError(`Fetching API spec from ${shown} failed, Get "${shown}": ${reason}`)
  const signal = AbortSignal.timeout(limit)
  try {
    let url = new URL(address, 'none://')
    for (let redirects = 0; ; redirects++) {
      const response = await get(url, signal)
      const { statusCode = 0, statusMessage = '', headers } = response
      if (statusCode < 300 || statusCode >= 400 || headers.location === undefined) {
        if (statusCode === 200) return await readText(response)
        response.destroy()
        throw new SpecificationError(
          `Fetching API spec from ${shown} failed with status ${statusCode} ${statusMessage}`.trimEnd(),
        )
      }
      response.destroy()
      if (redirects === MAX_REDIRECTS) throw failed('stopped after 10 redirects')
      url = new URL(headers.location, url)
    }
  } catch (error) {
    if (error instanceof SpecificationError) throw error
    throw failed(
      signal.aborted ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)' : inGo(error),
    )
  }
}

function get(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const scheme = url.protocol.slice(0, -1)
    const send = { http: getHttp, https: getHttps }[scheme]
    if (send === undefined) {
      reject(new Error(`unsupported protocol scheme "${scheme === 'none' ? '' : scheme}"`))
      return
    }
    send(url, { signal, agent: false }, resolve).on('error', reject)
  })
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  response.on('data', (chunk: Buffer) => {
    size += chunk.length
    chunks.push(chunk)
    if (size > SIZE_LIMIT) response.destroy(new Error(`the specification is larger than ${SIZE_LIMIT} bytes`))
  })
  await new Promise((resolve, reject) => response.on('end', resolve).on('error', reject))
  return Buffer.concat(chunks).toString('utf8')
}

/** A network error in Go's words, where they are recorded. */
function inGo(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const detail = (name: string): string => String(Object.getOwnPropertyDescriptor(error, name)?.value ?? '')
  if (detail('code') === 'ECONNREFUSED')
    return `dial tcp ${detail('address')}:${detail('port')}: connect: connection refused`
  return error.message
}

/** The JSON text under which a fetched specification is shown: JSON as it is, anything else in a string (contract §9). */
export function fetchedAsJson(text: string): string {
  const node = parse(text)
  return node === undefined ? marshal(text) : compact(node)
}

function parse(text: string): JsonNode | undefined {
  try {
    return unmarshal(Buffer.from(text))
  } catch (error) {
    if (error instanceof JsonSyntaxError) return undefined
    throw error
  }
}

/** Swagger 2.0 is made to point at the gateway inside the cluster; any other spec stays as it is (contract §9). */
export function rewriteSwagger(spec: string, app: string, id: string): string {
  const node = parse(spec)
  if (node?.kind !== 'object') return spec
  const version = node.members.findLast(({ name }) => name === 'swagger')?.value
  if (version?.kind !== 'string' || version.value !== '2.0') return spec
  const host = marshal(`app-${app}-${id}.kyma-integration.svc.cluster.local`)
  const kept = node.members.filter(({ name }) => name !== 'basePath' && name !== 'schemes')
  const members = kept.map(({ name, value }): [string, string] => [name, name === 'host' ? host : compact(value)])
  const withHost: [string, string][] = members.some(([name]) => name === 'host')
    ? members
    : [...members, ['host', host]]
  return marshalObject([['schemes', '["http"]'], ...withHost])
}
