import { addAbortSignal, Readable } from 'node:stream'
import { errorCodeOf, FilesError, UsageError } from '../../../errors.js'
import type { Endpoint } from '../../../gateway/endpoint-url.js'
import type { RequestInit } from '../../../gateway/gateway.js'
import { fileProblem } from '../../../kubernetes/local-file.js'
import { openReadable, streamOf } from '../../../open-readable.js'
import type { Context } from '../../context.js'
import { checkBody } from './body-check.js'

/** The largest body that is read into memory and checked: the gateway takes no more (docs/contract.md §7). */
const maxCheckedBytes = 5 * 1024 * 1024

export type Body = Pick<RequestInit, 'body' | 'bodySource'> & { readonly headers?: Readonly<Record<string, string>> }

/** What decides whether a body is checked before it is sent. */
export interface BodyUse {
  readonly endpoint: Endpoint
  readonly method: string
  readonly allowStarred: boolean
}

/**
 * The body of a request: the text itself, or a file or standard input. Events and services are checked before they are sent;
 * everything else is passed on as it is read.
 * @throws UsageError, FilesError
 */
export async function readBody(data: string, use: BodyUse, context: Context): Promise<Body> {
  const isChecked = mustCheck(use)
  if (!data.startsWith('@')) {
    if (isChecked) checkBody(use.endpoint, data)
    return { body: data }
  }
  const source = data === '@-' ? { stream: context.stdin.stream(), size: undefined } : await openFile(data.slice(1))
  const about = {
    headers: source.size === undefined ? {} : { 'content-length': String(source.size) },
    bodySource: data === '@-' ? 'standard input' : JSON.stringify(data.slice(1)),
  }
  return isChecked ? readChecked(source.stream, about, use.endpoint, context) : { body: source.stream, ...about }
}

function mustCheck({ endpoint, method, allowStarred }: BodyUse): boolean {
  if (endpoint === 'events') return method === 'POST'
  return endpoint === 'metadata' && (method === 'PUT' || method === 'POST') && !allowStarred
}

async function readChecked(
  stream: Readable,
  about: Omit<Body, 'body'>,
  endpoint: Endpoint,
  { runtime: { signal } }: Context,
): Promise<Body> {
  const chunks: Buffer[] = []
  let size = 0
  const source: AsyncIterator<Uint8Array> = addAbortSignal(signal, stream)[Symbol.asyncIterator]()
  try {
    for (let next = await source.next(); next.done !== true; next = await source.next()) {
      chunks.push(Buffer.from(next.value))
      size += next.value.length
      if (size <= maxCheckedBytes) continue
      if (endpoint === 'metadata') {
        throw new UsageError('--data is larger than 5 MiB: it cannot be checked for starred credentials', {
          hints: ['to send it unchecked, add --allow-starred; most gateways answer 413 to a body of this size'],
        })
      }
      // The event service answers 413 to more than 64 KiB and publishes nothing, so a body this large needs no check.
      return { body: Readable.from(remaining(chunks, source)), ...about }
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof UsageError) throw error
    throw new FilesError('--data cannot be read completely', { cause: error, hints: ['check the file, or the pipe'] })
  }
  const body = Buffer.concat(chunks)
  checkBody(endpoint, body.toString('utf8'))
  return { body }
}

async function* remaining(chunks: readonly Buffer[], source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks
  for (let next = await source.next(); next.done !== true; next = await source.next()) yield next.value
}

async function openFile(path: string): Promise<{ stream: Readable; size: number | undefined }> {
  try {
    const opened = await openReadable(path)
    const stream = streamOf(opened)
    if (opened.stat.isDirectory()) {
      stream.destroy()
      throw Object.assign(new Error('is a folder'), { code: 'EISDIR' })
    }
    return { stream, size: opened.stat.isFile() ? Number(opened.stat.size) : undefined }
  } catch (cause) {
    throw new FilesError(`--data: ${JSON.stringify(path)} cannot be read: ${fileProblem(cause)}`, {
      cause,
      reason: errorCodeOf(cause),
      hints: ['check the path and its permissions'],
    })
  }
}
