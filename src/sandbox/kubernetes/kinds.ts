import { isBase64 } from '../pki/pem.js'
import { arrayAt, at, isJsonObject, objectAt, without, type Json, type JsonObject } from './json.js'
import type { KubernetesObject } from './object.js'
import { badRequest, invalid } from './refusal.js'
import { applications, namespaces, secrets, services, type Resource } from './resources.js'
import { isSubdomain } from './subdomain.js'

/** The API server's text; `isSubdomain` checks the same without the expression. */
const SUBDOMAIN = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'
const SUBDOMAIN_RULE = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${SUBDOMAIN}')`
const MAX_NAME = 253

export function checkName(resource: Resource, name: string): void {
  if (name === '') throw invalid(resource, name, 'metadata.name', 'Required value: name or generateName is required')
  if (name.length > MAX_NAME || !isSubdomain(name))
    throw invalid(resource, name, 'metadata.name', `Invalid value: ${JSON.stringify(name)}: ${SUBDOMAIN_RULE}`)
}

/** Adds to an object what the API server adds before it stores one of this kind. @throws Refusal for an invalid object */
export function complete(resource: Resource, object: KubernetesObject): KubernetesObject {
  switch (resource) {
    case secrets:
      return completeSecret(object)
    case services:
      return completeService(object)
    case namespaces:
      return { ...object, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } }
    case applications:
      if (!Array.isArray(at(object, 'spec', 'services')))
        throw invalid(resource, object.metadata.name, 'spec.services', 'Required value')
      return object
    default:
      return object
  }
}

function completeSecret(object: KubernetesObject): KubernetesObject {
  const data = Object.entries(objectAt(object, 'data'))
  for (const [, value] of data) {
    if (typeof value !== 'string' || !isBase64(value))
      throw badRequest('Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0')
  }
  const texts = Object.entries(objectAt(object, 'stringData')).map(([name, value]): [string, Json] => [
    name,
    Buffer.from(typeof value === 'string' ? value : '').toString('base64'),
  ])
  const all = Object.fromEntries([...data, ...texts])
  for (const name of Object.keys(all)) {
    if (!/^[-._a-zA-Z0-9]+$/.test(name)) {
      const rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
      throw invalid(secrets, object.metadata.name, `data[${name}]`, `Invalid value: ${JSON.stringify(name)}: ${rule}`)
    }
  }
  const rest = without(object, 'stringData', 'data')
  return { type: 'Opaque', ...rest, ...named(object), ...(Object.keys(all).length > 0 && { data: all }) }
}

const NODE_PORTS = { first: 30_000, last: 32_767 }

function completeService(object: KubernetesObject): KubernetesObject {
  const spec: JsonObject = { type: 'ClusterIP', clusterIP: '10.96.0.10', ...objectAt(object, 'spec') }
  const hasNodePorts = spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer'
  const ports = arrayAt(spec, 'ports').map((port, index): Json => {
    if (!isJsonObject(port)) return port
    const whole = { protocol: 'TCP', targetPort: port['port'] ?? 0, ...port }
    if (!hasNodePorts) return without(whole, 'nodePort')
    return { nodePort: Math.min(NODE_PORTS.first + index, NODE_PORTS.last), ...whole }
  })
  return { ...object, spec: { ...spec, ports }, status: { loadBalancer: {}, ...objectAt(object, 'status') } }
}

/** The fields that every object has. TypeScript does not know that `without` keeps them. */
function named({
  apiVersion,
  kind,
  metadata,
}: KubernetesObject): Pick<KubernetesObject, 'apiVersion' | 'kind' | 'metadata'> {
  return { apiVersion, kind, metadata }
}
