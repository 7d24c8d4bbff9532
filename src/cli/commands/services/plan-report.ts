import type { ChalkInstance } from 'chalk'
import { oneLine } from '../../../redaction.js'
import type { Action, Plan, Reason, Rewrite, Step } from '../../../registry/plan.js'
import { formatPlace } from '../../../registry/place.js'
import { formatRows } from '../../output/rows.js'

/** The actions of a plan, in the order in which they are carried out, and each as a finished one. */
export const actions: readonly (readonly [Action, string])[] = [
  ['create', 'created'],
  ['update', 'updated'],
  ['replace', 'replaced'],
  ['delete', 'deleted'],
]

/** What a plan changes, a row each, and a line that sums it up. */
export function formatPlan({ set, steps }: Plan, app: string, style: ChalkInstance): string {
  const changes = steps.filter(({ action }) => action !== 'unchanged')
  const unchanged = steps.length - changes.length
  const [heading = '', ...rows] = formatRows([
    ['ACTION', 'IDENTIFIER', 'NAME', 'WHY', 'FILE'],
    ...changes.map((step) => rowOf(step)),
  ])
  const table =
    changes.length === 0 ? [] : [style.dim(heading), ...rows.map((row, index) => colour(row, changes[index], style))]
  const counts = actions.flatMap(([action]) => {
    const count = changes.filter((step) => step.action === action).length
    return count === 0 ? [] : [`${count} to ${action}`]
  })
  const sum = [...counts, ...(unchanged === 0 ? [] : [`${unchanged} unchanged`])].join(', ')
  const where = `App "${oneLine(app)}", set "${oneLine(set)}"`
  return [...table, `${where}: ${sum === '' ? 'nothing to do' : sum}`].map((line) => `${line}\n`).join('')
}

/** A plan in the documents of --json. The keys are stable; docs/reference.md describes them. */
export function planDocument({ set, steps }: Plan): object {
  return {
    set,
    plan: steps
      .filter(({ action }) => action !== 'unchanged')
      .map((step) => ({
        action: step.action,
        identifier: subjectOf(step).identifier ?? null,
        name: subjectOf(step).name,
        id: step.action === 'create' ? null : step.listed.id,
        reasons: 'reasons' in step ? step.reasons : [],
        drifted: 'drifted' in step ? step.drifted : [],
        changed: 'changed' in step ? step.changed : [],
        ...(step.action === 'delete' ? {} : step.service.place),
      })),
    unchanged: steps.filter(({ action }) => action === 'unchanged').length,
  }
}

function rowOf(step: Step): string[] {
  const { identifier, name } = subjectOf(step)
  const place = step.action === 'delete' ? '-' : formatPlace(step.service.place)
  return [step.action, oneLine(identifier ?? '-'), oneLine(name), reasonOf(step), oneLine(place)]
}

function subjectOf(step: Step): { readonly identifier: string | undefined; readonly name: string } {
  return step.action === 'delete' ? step.listed : step.service
}

function reasonOf(step: Step): string {
  switch (step.action) {
    case 'create':
      return 'not registered yet'
    case 'delete':
      return 'in no file'
    case 'unchanged':
      return '-'
    case 'update':
    case 'replace': {
      if (step.action === 'replace') return `without ${step.lost.join(', ')} now`
      return step.reasons.map((reason) => textOf(reason, step)).join('; ')
    }
  }
}

function textOf(reason: Reason, { drifted, changed }: Rewrite): string {
  switch (reason) {
    case 'changed':
      return `changed${shownFields(changed)}`
    case 'drifted':
      return `drifted${shownFields(drifted)}`
    case 'adopted':
      return `to be adopted${shownFields(changed)}`
    case 'credentials':
      return 'credentials are sent again'
  }
}

/** More would make the table unreadable; --json names all. */
const maxFields = 6

function shownFields(fields: readonly string[]): string {
  if (fields.length === 0) return ''
  const rest = fields.length - maxFields
  return `: ${fields.slice(0, maxFields).map(oneLine).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}

function colour(row: string, step: Step | undefined, style: ChalkInstance): string {
  switch (step?.action) {
    case 'create':
      return style.green(row)
    case 'update':
      return style.yellow(row)
    case 'replace':
    case 'delete':
      return style.red(row)
    default:
      return row
  }
}
