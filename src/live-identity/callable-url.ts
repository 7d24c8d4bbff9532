import { UntrustedUrlError, UsageError } from '../errors.js'
import { endpointUrl, isEndpoint } from '../gateway/endpoint-url.js'
import type { Metadata } from '../identity/identity.js'

/**
 * The URL that a program means: below an endpoint (`metadata`, `metadata/<id>`, `events`, `info`), from the gateway's root (`/…`), or an
 * absolute URL. The NodePort is not applied yet.
 * @throws UntrustedUrlError unless it is an https URL on one of the identity's own hosts; UsageError for anything else;
 *   IdentityUnusableError when the endpoint, or the gateway, is not known
 */
export function callableUrl(metadata: Metadata, pathOrUrl: string | URL): URL {
  // A program in plain JavaScript may pass anything, and as text a Request would be "[object Request]".
  if (typeof pathOrUrl !== 'string' && !(pathOrUrl instanceof URL)) {
    throw new UsageError('fetch takes a path or a URL, and then the options: it was given something else', {
      hints: ['take a Request apart: identity.fetch(request.url, { method, headers, body, signal })'],
    })
  }
  const text = String(pathOrUrl)
  const [, name = '', rest = ''] = /^([a-z]+)($|[/?][^]*$)/.exec(text) ?? []
  if (isEndpoint(name)) return endpointUrl(metadata, name, rest)
  const { gatewayHost, acceptedHosts } = metadata
  const base = gatewayHost === null ? undefined : `https://${gatewayHost}`
  if (!URL.canParse(text, text.startsWith('/') ? base : undefined)) {
    throw new UsageError(`${JSON.stringify(text.slice(0, 200))} is not a URL or a path of an endpoint`, {
      hints: [
        'write it as metadata/<path>, events/<path>, info, /<path on the gateway>, or an https URL on the gateway',
      ],
    })
  }
  const url = new URL(text, base)
  const hosts = [gatewayHost, ...acceptedHosts]
  if (url.protocol === 'https:' && hosts.includes(url.hostname)) return url
  throw new UntrustedUrlError(
    `${url.protocol}//${url.host} is not called: it is not on the gateway of "${metadata.app}"`,
    {
      hints: ['call other servers with another client, because this one presents the client certificate'],
      details: { host: url.host, hosts: hosts.filter((host) => host !== null) },
    },
  )
}
