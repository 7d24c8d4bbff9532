import { get as getHttp, type IncomingMessage } from 'node:http'
import { get as getHttps } from 'node:https'
import { compact, marshal, parseJson } from '../go/json.js'

/** The Registry's time limit for a fetch (docs/contract.md §9). */
const FETCH_TIMEOUT_MS = 5000
/** The sandbox's own limit, equal to that for a specification in a body. */
const MAX_SPECIFICATION_BYTES = 5 * 1024 * 1024
const MAX_REDIRECTS = 10

/** A specification could not be fetched; the message is the Registry's. */
export class SpecificationError extends Error {}

/** Fetches the specification at a URL. @throws SpecificationError */
export async function fetchSpecification(address: string, timeoutMs = FETCH_TIMEOUT_MS): Promise<string> {
  const shown = encodeURI(address)
  const failed = (reason: string): SpecificationError =>
    new SpecificationError(`Fetching API spec from ${shown} failed, Get "${shown}": ${reason}`)
  const signal = AbortSignal.timeout(timeoutMs)
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
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    chunks.push(chunk)
    if (bytes > MAX_SPECIFICATION_BYTES)
      response.destroy(new Error(`the specification is larger than ${MAX_SPECIFICATION_BYTES} bytes`))
  })
  await new Promise((resolve, reject) => response.on('end', resolve).on('error', reject))
  return Buffer.concat(chunks).toString('utf8')
}

/** Go's message for a network error, where it was recorded. */
function inGo(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const detail = (name: string): string => String(Object.getOwnPropertyDescriptor(error, name)?.value ?? '')
  if (detail('code') === 'ECONNREFUSED')
    return `dial tcp ${detail('address')}:${detail('port')}: connect: connection refused`
  return error.message
}

/** The JSON text of a fetched specification: JSON as it is, any other text as a string (docs/contract.md §9). */
export function fetchedAsJson(text: string): string {
  const node = parseJson(text)
  return node === undefined ? marshal(text) : compact(node)
}
