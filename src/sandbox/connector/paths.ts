import type { ClientContext } from './client-context.js'

/** The paths of the Connector for one kind of client (docs/contract.md §0). */
export interface ConnectorPaths {
  readonly tokens: string
  readonly info: string
  readonly certificates: string
  readonly managementInfo: string
  readonly renewals: string
  readonly revocations: string
}

const below = (root: string): ConnectorPaths => ({
  tokens: `${root}/tokens`,
  info: `${root}/signingRequests/info`,
  certificates: `${root}/certificates`,
  managementInfo: `${root}/management/info`,
  renewals: `${root}/certificates/renewals`,
  revocations: `${root}/certificates/revocations`,
})

export const CONNECTOR_PATHS: Readonly<Record<ClientContext['kind'], ConnectorPaths>> = {
  application: below('/v1/applications'),
  runtime: below('/v1/runtimes'),
}

/** The kinds of clients that a Connector serves: runtimes pair in central mode only. */
export const kindsOfClients = (central: boolean): readonly ClientContext['kind'][] =>
  central ? ['application', 'runtime'] : ['application']

/** The URL that starts a pairing. The token is not percent-encoded in it (docs/contract.md §2). */
export function tokenUrl(connectorUrl: string, kind: ClientContext['kind'], token: string): string {
  return `${connectorUrl}${CONNECTOR_PATHS[kind].info}?token=${token}`
}
