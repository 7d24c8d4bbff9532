import { UntrustedUrlError } from '../errors.js'
import { stripControl } from '../redaction.js'
import { text } from '../json.js'

/** The wire names of the URLs that a client calls. */
export const endpointNames = ['infoUrl', 'metadataUrl', 'eventsUrl', 'renewCertUrl', 'revokeCertUrl'] as const
export type EndpointName = (typeof endpointNames)[number]

/** URLs as received: https, without NodePort. A URL that the answer leaves out or empty is absent: it may be assigned later. */
export type EndpointUrls = Readonly<Partial<Record<EndpointName, string>>>

/**
 * Reads the URLs of an answer. `revocationCertUrl` is an old spelling (docs/contract.md §8).
 * @throws UntrustedUrlError for a URL that is not https
 */
export function parseEndpointUrls(urls: object): EndpointUrls {
  const found: Partial<Record<EndpointName, string>> = {}
  for (const name of endpointNames) {
    const url = text(urls, name) ?? (name === 'revokeCertUrl' ? text(urls, 'revocationCertUrl') : undefined)
    if (url === undefined) continue
    if (!URL.canParse(url) || new URL(url).protocol !== 'https:') {
      throw new UntrustedUrlError(
        `the service names a ${name} that is not an https URL: ${stripControl(url).slice(0, 200)}`,
        {
          hints: ['inform the administrator of the cluster'],
        },
      )
    }
    found[name] = url
  }
  return found
}
