// Apart from undici-fetch.ts, because a program that uses these types has not installed undici.

/** A request as for Node's own fetch, except that there is no dispatcher to choose. */
export type FetchInit = Omit<RequestInit, 'dispatcher'>

/** What a fetch resolves with: all of Node's Response but its class. */
export type FetchResponse = Pick<Response, keyof Response>
