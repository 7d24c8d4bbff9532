import { formatPath, nodeAt, shownName, type FieldPath } from './field-path.js'
import { nearestName } from './nearest-name.js'
import { fieldNames, serviceShape, shapeAt, type Shape } from './service-fields.js'
import { maxProblems, type Node } from './tree.js'
import { validateService, type SchemaViolation } from './validate-service.js'

export interface FieldProblem {
  readonly path: FieldPath
  /** Whether the problem is the name of the field, or its value. */
  readonly at: 'name' | 'value'
  readonly message: string
  readonly hint?: string
  /** Of a field with a wrong name, the path of the field that was probably meant. */
  readonly meant?: string
  /** The path of a field that is missing. */
  readonly missing?: string
}

/** What schema/service.schema.json does not allow, in our words. */
export function schemaProblems(root: Node): FieldProblem[] {
  if (root.kind !== 'map') {
    return [{ path: [], at: 'value', message: `a service must be a mapping, not ${kindOf(root)}` }]
  }
  if (!root.fields.some(({ name }) => isOfService(name))) {
    return [
      {
        path: [],
        at: 'value',
        message: 'the document is not a service: it has neither identifier nor any other field of one',
        hint: 'move it out of the folder, or name the service files with -f',
      },
    ]
  }
  if (validateService(plainValue(root, serviceShape))) return []
  // What concerns the whole document comes after its fields.
  const violations = [...(validateService.errors ?? [])].sort((a, b) => rank(a) - rank(b)).slice(0, maxProblems)
  const problems = violations.flatMap((violation) => problemOf(violation, root))
  // A field that is there under a wrong name is not missing as well.
  const meant = new Set(problems.flatMap((problem) => problem.meant ?? []))
  return problems.filter(
    ({ path, message, missing }, index) =>
      !(missing !== undefined && meant.has(missing)) &&
      problems.findIndex((other) => other.message === message && formatPath(other.path) === formatPath(path)) === index,
  )
}

/** Whether a document with such a field was meant to be a service. */
function isOfService(name: string): boolean {
  const names = fieldNames([])
  return names.includes(name) || nearestName(name, names) !== undefined
}

function rank({ keyword }: SchemaViolation): number {
  return keyword === 'anyOf' ? 1 : 0
}

function problemOf({ instancePath, schemaPath, keyword, params }: SchemaViolation, root: Node): FieldProblem[] {
  const path = pathOf(instancePath, root)
  const name = formatPath(path)
  const node = nodeAt(root, path)
  const parameter = (key: string): string => {
    const value = params[key]
    return typeof value === 'string' ? value : ''
  }
  const value = (message: string, hint?: string): FieldProblem[] => [
    { path, at: 'value', message, ...(hint !== undefined && { hint }) },
  ]
  switch (keyword) {
    case 'additionalProperties':
      return [unknownField(path, parameter('additionalProperty'))]
    case 'required': {
      // One of the two alternatives: anyOf reports them as one.
      if (schemaPath.startsWith('#/anyOf/')) return []
      const missing = parameter('missingProperty')
      const field = formatPath([...path, missing])
      return [{ path, at: 'name', message: `${field} is missing`, missing: field }]
    }
    case 'anyOf':
      return [{ path, at: 'name', message: 'a service needs api, events or both, and has neither' }]
    case 'type': {
      const wanted = wantedKind(params['type'])
      if (isEmpty(node)) return value(`${name} must be ${wanted}, and is empty`)
      const isUnquoted = wanted === 'text' && node?.kind === 'scalar'
      return value(`${name} must be ${wanted}, not ${kindOf(node)}${isUnquoted ? '; quote it' : ''}`)
    }
    case 'minLength':
      return value(`${name} must not be empty`)
    case 'pattern':
      // secret-reference.ts says more about secrets.
      if (shapeAt(path)?.role === 'secret') return []
      return value(
        `${name} must consist of up to 63 letters, digits, '.', '_' and '-', and begin and end with a letter or a digit`,
      )
    case 'propertyNames':
    case 'not':
      // service-document.ts names the label.
      return []
    case 'minProperties':
      return value(`${name} is empty: give ${alternatives(path)}`)
    case 'maxProperties':
      return tooMany(path, node)
    default:
      return value(`${name} is not valid`)
  }
}

function unknownField(path: FieldPath, name: string): FieldProblem {
  const owner = path.length === 0 ? 'a service' : formatPath(path)
  const names = fieldNames(path)
  const near = nearestName(name, names)
  const note =
    near !== undefined
      ? `; did you mean ${near}?`
      : path.length === 0 && name === 'id'
        ? ': the Registry assigns it'
        : name === 'certificate'
          ? ': the Registry generates it'
          : ''
  const hint =
    note === '' && names.length > 0 ? `use ${names.length === 1 ? '' : 'one of '}${names.join(', ')}` : undefined
  return {
    path: [...path, name],
    at: 'name',
    ...(near === undefined ? {} : { meant: formatPath([...path, near]) }),
    message: `${shownName(name)} is not a field of ${owner}${note}`,
    ...(hint !== undefined && { hint }),
  }
}

function tooMany(path: FieldPath, node: Node | undefined): FieldProblem[] {
  const known = fieldNames(path)
  const fields = node?.kind === 'map' ? node.fields : []
  const given = fields.filter(({ name, value }) => known.includes(name) && !isEmpty(value)).map(({ name }) => name)
  // Fields that are unknown or empty are reported as such.
  if (given.length < 2) return []
  return [{ path, at: 'name', message: `${formatPath(path)} has ${given.join(' and ')}: choose one` }]
}

function alternatives(path: FieldPath): string {
  const names = fieldNames(path)
  return `${names.slice(0, -1).join(', ')} or ${names.slice(-1).join()}`
}

function wantedKind(type: unknown): string {
  if (Array.isArray(type)) return 'a mapping or the path of a file'
  return type === 'object' ? 'a mapping' : type === 'array' ? 'a list' : 'text'
}

function isEmpty(node: Node | undefined): boolean {
  return node?.kind === 'scalar' && node.value === null
}

function kindOf(node: Node | undefined): string {
  if (node?.kind === 'map') return 'a mapping'
  if (node?.kind === 'list') return 'a list'
  switch (typeof node?.value) {
    case 'number':
      return 'a number'
    case 'boolean':
      return 'true or false'
    case 'string':
      return 'text'
    default:
      return 'empty'
  }
}

/** The path in a JSON pointer (RFC 6901); an index where the document has a list. */
function pathOf(pointer: string, root: Node): FieldPath {
  const path: (string | number)[] = []
  for (const escaped of pointer.split('/').slice(1)) {
    const part = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
    path.push(nodeAt(root, path)?.kind === 'list' ? Number(part) : part)
  }
  return path
}

/** A value for the validator. Inside a spec nothing is checked. */
function plainValue(node: Node, shape: Shape | undefined): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value
    case 'list':
      return shape?.role === 'spec' ? [] : node.items.map((item) => plainValue(item, shape?.items))
    case 'map':
      if (shape?.role === 'spec') return {}
      return Object.fromEntries(
        node.fields.map(({ name, value }) => [name, plainValue(value, shape?.fields?.get(name))]),
      )
  }
}
