import { type AnswerHead, MalformedAnswer, parseHead } from './answer-head.js'

/** Bytes of a head; the services' have 300. */
const maxHeadBytes = 16 * 1024
/** Bytes of a body; the event service's have less than 1 KiB (docs/contract.md §10), a page of NGINX as well. */
const maxBodyBytes = 64 * 1024
/** Bytes of the line before a chunk, and of a trailer. */
const maxChunkLineBytes = 1024
const maxTrailers = 16
/** Interim answers (1xx) before one answer. */
const maxInterims = 8

const blankLine = Buffer.from('\r\n\r\n', 'latin1')
const lineEnd = Buffer.from('\r\n', 'latin1')
const nothing = Buffer.alloc(0)
/** No part of an answer is complete in the bytes that have arrived. */
const incomplete = -1

/**
 * Takes an answer. The body is a view of the bytes that arrived, not a copy.
 * @returns whether to go on reading
 */
export type OnAnswer = (head: AnswerHead, body: Buffer) => boolean

type Part = 'head' | 'body' | 'chunk line' | 'chunk' | 'end of chunk' | 'trailers'

/**
 * Splits the bytes of one connection into answers to POSTs (RFC 9112). It takes bodies with a Content-Length and chunked ones, and rejects
 * everything else: with pipelined requests, a doubt about where an answer ends is a doubt about which request the next one belongs to.
 */
export class AnswerParser {
  readonly #onAnswer: OnAnswer
  #part: Part = 'head'
  /** Bytes that have arrived, and make no complete part yet; never more than a head may have. */
  #rest: Buffer = nothing
  /** The head of the answer that is read, or of the last one. Most heads in a row are the same bytes, and are then not parsed again. */
  #head: AnswerHead | undefined
  #headBytes: Buffer = nothing
  #interims = 0
  #body: Buffer[] = []
  #bodyBytes = 0
  /** Bytes missing from the body or from the chunk. */
  #missing = 0
  #trailers = 0
  #stopped = false

  constructor(onAnswer: OnAnswer) {
    this.#onAnswer = onAnswer
  }

  /** Whether a part of an answer has arrived, and not all of it. */
  get isWithinAnswer(): boolean {
    return this.#part !== 'head' || this.#rest.length > 0 || this.#interims > 0
  }

  /** Reads the bytes that arrived next. @throws MalformedAnswer; nothing can be read after that */
  push(chunk: Buffer): void {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (at < data.length && !this.#stopped) {
      const next = this.#read(data, at)
      if (next === incomplete) break
      at = next
    }
    this.#rest = at === data.length ? nothing : Buffer.from(data.subarray(at))
  }

  /** Reads the next part. @returns where it ends, or `incomplete` */
  #read(data: Buffer, at: number): number {
    switch (this.#part) {
      case 'head':
        return this.#readHead(data, at)
      case 'body':
        return this.#readBody(data, at)
      case 'chunk line':
        return this.#readChunkLine(data, at)
      case 'chunk':
        return this.#readChunk(data, at)
      case 'end of chunk':
        return this.#readEndOfChunk(data, at)
      case 'trailers':
        return this.#readTrailers(data, at)
    }
  }

  #readHead(data: Buffer, at: number): number {
    const next = this.#startsWithLastHead(data, at) ? at + this.#headBytes.length : this.#readNewHead(data, at)
    if (next === incomplete || this.#head === undefined) return incomplete
    const { framing } = this.#head
    if (framing === 'interim') {
      if (++this.#interims > maxInterims) throw new MalformedAnswer('too many interim answers')
      return next
    }
    this.#interims = 0
    if (framing === 'chunked') {
      this.#part = 'chunk line'
      return next
    }
    if (framing > maxBodyBytes) throw bodyTooLarge()
    this.#part = 'body'
    this.#missing = framing
    return this.#readBody(data, next)
  }

  #startsWithLastHead(data: Buffer, at: number): boolean {
    const { length } = this.#headBytes
    return length > 0 && data.length - at >= length && this.#headBytes.compare(data, at, at + length) === 0
  }

  #readNewHead(data: Buffer, at: number): number {
    const end = data.indexOf(blankLine, at)
    if ((end < 0 ? data.length : end) - at > maxHeadBytes) throw new MalformedAnswer('the headers are too long')
    if (end < 0) return incomplete
    const next = end + blankLine.length
    this.#head = parseHead(data.toString('latin1', at, end))
    this.#headBytes = Buffer.from(data.subarray(at, next))
    return next
  }

  #readBody(data: Buffer, at: number): number {
    const next = this.#take(data, at)
    if (this.#missing === 0) this.#finish()
    return next
  }

  #readChunkLine(data: Buffer, at: number): number {
    const end = data.indexOf(lineEnd, at)
    if ((end < 0 ? data.length : end) - at > maxChunkLineBytes)
      throw new MalformedAnswer('the line before a chunk is too long')
    if (end < 0) return incomplete
    // The extensions after the size have no meaning here (RFC 9112, section 7.1.1).
    const [, digits] = /^([0-9A-Fa-f]{1,8})(?:[\t ]*;[^\r\n\0]*)?$/.exec(data.toString('latin1', at, end)) ?? []
    if (digits === undefined) throw new MalformedAnswer('the size of a chunk is not a hexadecimal number')
    this.#missing = parseInt(digits, 16)
    if (this.#bodyBytes + this.#missing > maxBodyBytes) throw bodyTooLarge()
    this.#part = this.#missing === 0 ? 'trailers' : 'chunk'
    return end + lineEnd.length
  }

  #readChunk(data: Buffer, at: number): number {
    const next = this.#take(data, at)
    if (this.#missing === 0) this.#part = 'end of chunk'
    return next
  }

  #readEndOfChunk(data: Buffer, at: number): number {
    if (data.length - at < lineEnd.length) return incomplete
    if (data[at] !== 13 || data[at + 1] !== 10) throw new MalformedAnswer('a chunk is longer than its size')
    this.#part = 'chunk line'
    return at + lineEnd.length
  }

  /** Trailers have no meaning here, and are skipped. */
  #readTrailers(data: Buffer, at: number): number {
    const end = data.indexOf(lineEnd, at)
    if ((end < 0 ? data.length : end) - at > maxChunkLineBytes) throw new MalformedAnswer('a trailer is too long')
    if (end < 0) return incomplete
    if (end === at) this.#finish()
    else if (++this.#trailers > maxTrailers) throw new MalformedAnswer('too many trailers')
    return end + lineEnd.length
  }

  /** Adds what has arrived of the missing bytes to the body. @returns where the bytes end */
  #take(data: Buffer, at: number): number {
    const next = Math.min(data.length, at + this.#missing)
    if (next > at) {
      this.#bodyBytes += next - at
      this.#missing -= next - at
      const part = data.subarray(at, next)
      this.#body.push(this.#missing === 0 && this.#part === 'body' ? part : Buffer.from(part))
    }
    return next
  }

  #finish(): void {
    const [first = nothing] = this.#body
    const body = this.#body.length > 1 ? Buffer.concat(this.#body) : first
    this.#body = []
    this.#bodyBytes = 0
    this.#trailers = 0
    this.#part = 'head'
    if (this.#head !== undefined && !this.#onAnswer(this.#head, body)) this.#stopped = true
  }
}

function bodyTooLarge(): MalformedAnswer {
  return new MalformedAnswer(`the body is larger than ${maxBodyBytes / 1024} KiB`)
}
