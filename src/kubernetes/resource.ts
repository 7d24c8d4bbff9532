/** A kind of object in the Kubernetes API, and its place in the paths. */
export interface ResourceKind {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly namespaced: boolean
}

const kyma = { group: 'applicationconnector.kyma-project.io', version: 'v1alpha1' } as const

export const tokenRequests: ResourceKind = { ...kyma, plural: 'tokenrequests', namespaced: true }
export const applications: ResourceKind = { ...kyma, plural: 'applications', namespaced: false }
export const services: ResourceKind = { group: '', version: 'v1', plural: 'services', namespaced: true }
export const nodes: ResourceKind = { group: '', version: 'v1', plural: 'nodes', namespaced: false }

/** As it is named in RBAC and by kubectl: `tokenrequests.applicationconnector.kyma-project.io`. */
export function resourceName({ group, plural }: ResourceKind): string {
  return group === '' ? plural : `${plural}.${group}`
}

/** The path of a collection, or of one object in it. */
export function resourcePath(kind: ResourceKind, namespace: string, name?: string): string {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`
  const space = kind.namespaced ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  return `${root}${space}/${kind.plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`
}
