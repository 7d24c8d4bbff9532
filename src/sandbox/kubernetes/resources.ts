/** A resource of the API. */
export interface Resource {
  /** '' is the core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly namespaced: boolean
  readonly shortNames?: readonly string[]
  /** Defined by a CRD: its objects have a generation, and strategic merge patches are refused. */
  readonly custom?: true
  /** Listed by discovery, so that kubectl can map manifests; objects can be neither created nor found. */
  readonly nameOnly?: true
}

const KYMA = { group: 'applicationconnector.kyma-project.io', version: 'v1alpha1', custom: true } as const
const CORE = { group: '', version: 'v1' } as const
const RBAC = { group: 'rbac.authorization.k8s.io', version: 'v1' } as const

export const tokenRequests: Resource = { ...KYMA, kind: 'TokenRequest', plural: 'tokenrequests', namespaced: true }
export const applications: Resource = { ...KYMA, kind: 'Application', plural: 'applications', namespaced: false }
export const namespaces: Resource = {
  ...CORE,
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
  shortNames: ['ns'],
}
export const services: Resource = {
  ...CORE,
  kind: 'Service',
  plural: 'services',
  namespaced: true,
  shortNames: ['svc'],
}
export const secrets: Resource = { ...CORE, kind: 'Secret', plural: 'secrets', namespaced: true }
export const leases: Resource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
}

export const RESOURCES: readonly Resource[] = [
  namespaces,
  services,
  secrets,
  { ...CORE, kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true, shortNames: ['sa'], nameOnly: true },
  tokenRequests,
  applications,
  leases,
  {
    ...CORE,
    kind: 'PersistentVolumeClaim',
    plural: 'persistentvolumeclaims',
    namespaced: true,
    shortNames: ['pvc'],
    nameOnly: true,
  },
  { group: 'apps', version: 'v1', kind: 'Deployment', plural: 'deployments', namespaced: true, nameOnly: true },
  { group: 'batch', version: 'v1', kind: 'CronJob', plural: 'cronjobs', namespaced: true, nameOnly: true },
  { group: 'batch', version: 'v1', kind: 'Job', plural: 'jobs', namespaced: true, nameOnly: true },
  { ...RBAC, kind: 'Role', plural: 'roles', namespaced: true, nameOnly: true },
  { ...RBAC, kind: 'RoleBinding', plural: 'rolebindings', namespaced: true, nameOnly: true },
]

export const groupVersion = ({ group, version }: Resource): string => (group === '' ? version : `${group}/${version}`)

/** The name in most messages: `secrets`, `applications.applicationconnector.kyma-project.io`. */
export const groupResource = ({ group, plural }: Resource): string => (group === '' ? plural : `${plural}.${group}`)

/** The name in the other messages: `Secret`, `Application.applicationconnector.kyma-project.io`. */
export const groupKind = ({ group, kind }: Resource): string => (group === '' ? kind : `${kind}.${group}`)
