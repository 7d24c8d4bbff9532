import { UsageError } from '../../../errors.js'
import { type Endpoint, endpoints, isEndpoint } from '../../../gateway/endpoint-url.js'
import type { Identity, Urls } from '../../../identity/identity.js'

/** What to call: an endpoint by its name, and a path below it. */
export interface EndpointPath {
  readonly endpoint: Endpoint
  readonly path: string
}

export function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text)
}

/** @throws UsageError */
export function parseEndpoint(name: string): Endpoint {
  if (isEndpoint(name)) return name
  const names = Object.keys(endpoints)
  const isProfileName = /^[A-Za-z0-9._-]{1,40}$/.test(name)
  throw new UsageError(`the endpoint ${JSON.stringify(name.slice(0, 40))} does not exist`, {
    hints: [
      `choose one of ${names.join(', ')}`,
      ...(isProfileName ? [`to name a profile, use --profile: kyconnect call metadata --profile ${name}`] : []),
    ],
  })
}

/**
 * The endpoint that a full URL belongs to: one of the identity's URLs, with or without the NodePort, and a path below it.
 * @param called the identity's URLs as they are called
 * @throws UsageError when it is not a URL of this identity
 */
export function endpointOfUrl(text: string, { metadata }: Identity, called: Urls): EndpointPath {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /\/signingRequests\/info$/.test(url.pathname)) {
    throw new UsageError('this is a token URL: it is for pairing', {
      hints: ['pair with it: kyconnect pair --url -'],
    })
  }
  for (const endpoint of ['metadata', 'events', 'info'] as const) {
    for (const base of [metadata.urls[endpoints[endpoint]], called[endpoints[endpoint]]]) {
      const path = url === undefined || base === undefined ? undefined : pathBelow(url, new URL(base))
      if (path !== undefined) return { endpoint, path }
    }
  }
  throw new UsageError(`the URL does not belong to the identity "${metadata.profile}"`, {
    hints: [
      `see its URLs: kyconnect info --profile ${metadata.profile} --offline`,
      'call an endpoint by its name: kyconnect call metadata /<id>',
    ],
  })
}

function pathBelow(url: URL, base: URL): string | undefined {
  const root = base.pathname.replace(/\/$/, '')
  const isBelow = url.pathname === root || url.pathname.startsWith(`${root}/`)
  const isPlain = url.username === '' && url.password === '' && url.hash === ''
  return url.origin === base.origin && isBelow && isPlain ? url.pathname.slice(root.length) + url.search : undefined
}
