/** Tenant and group; known in central mode only. */
export interface Owner {
  readonly tenant: string
  readonly group: string
}

/** The client that a token or a certificate is for (docs/contract.md §2, §4). */
export type ClientContext =
  | { readonly kind: 'application'; readonly app: string; readonly owner?: Owner }
  | { readonly kind: 'runtime'; readonly owner: Owner }

const RUNTIME_NAME = '*Runtime*'

/** The values of a subject that a CSR must repeat. */
export type ExpectedSubject = Readonly<Record<'O' | 'OU' | 'L' | 'ST' | 'C' | 'CN', string>>

/** In central mode O is the tenant and OU the group (docs/contract.md §4). */
export function expectedSubject(context: ClientContext): ExpectedSubject {
  return {
    O: context.owner?.tenant ?? 'Organization',
    OU: context.owner?.group ?? 'OrgUnit',
    L: 'Waldorf',
    ST: 'Waldorf',
    C: 'DE',
    CN: context.kind === 'runtime' ? RUNTIME_NAME : context.app,
  }
}

/** The subject as the Connector announces it: joined without any escaping (docs/contract.md §4). */
export function announcedSubject(context: ClientContext): string {
  return Object.entries(expectedSubject(context))
    .map((pair) => pair.join('='))
    .join(',')
}

/** The client that a certificate names; undefined when its subject names none of this kind. */
export function contextOfSubject(
  kind: ClientContext['kind'],
  central: boolean,
  valueOf: (attribute: 'O' | 'OU' | 'CN') => string | undefined,
): ClientContext | undefined {
  const [name, tenant, group] = [valueOf('CN'), valueOf('O'), valueOf('OU')]
  if (name === undefined) return undefined
  if (!central) return kind === 'application' ? { kind, app: name } : undefined
  if (tenant === undefined || group === undefined || (name === RUNTIME_NAME) !== (kind === 'runtime')) return undefined
  const owner = { tenant, group }
  return kind === 'runtime' ? { kind, owner } : { kind, app: name, owner }
}
