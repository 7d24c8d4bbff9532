import type { ChalkInstance } from 'chalk'
import { daysLeft } from '../../../identity/identity.js'
import { oneLine } from '../../../redaction.js'
import { formatRows } from '../../output/rows.js'
import { validityEnd } from '../../output/validity.js'
import type { Assessment } from './assessment.js'

const heading = ['PROFILE', 'APP', 'VALID UNTIL', 'DAYS LEFT', 'NEXT RENEWAL', 'GATEWAY', 'STATE'] as const

/** A row for each identity. The state is last, because its text may be long. */
export function formatTable(assessments: readonly Assessment[], now: Date, style: ChalkInstance): string {
  const rows = assessments.map((assessment) => rowOf(assessment, now))
  const [head = '', ...lines] = formatRows([heading, ...rows])
  const coloured = lines.map((line, index) => {
    const state = rows[index]?.at(-1) ?? ''
    return `${line.slice(0, line.length - state.length)}${colour(state, assessments[index], style)}`
  })
  return [style.dim(head), ...coloured].map((line) => `${line}\n`).join('')
}

function rowOf(assessment: Assessment, now: Date): string[] {
  if (assessment.state === 'unusable') {
    const reason = `unusable: ${oneLine(assessment.problem.message)}`
    return [assessment.profile, ...heading.slice(1, -1).map(() => '-'), reason]
  }
  const { profile, metadata, nextRenewal } = assessment
  const { app, notAfter, gatewayHost, route } = metadata
  const host = gatewayHost === null ? 'unknown' : oneLine(gatewayHost)
  return [
    profile,
    oneLine(app),
    validityEnd(notAfter, daysLeft(notAfter, now)),
    timeLeft(notAfter.getTime() - now.getTime()),
    nextRenewal === null ? '-' : nextRenewal <= now ? 'now' : validityEnd(nextRenewal, daysLeft(nextRenewal, now)),
    route.nodePort === null ? host : `${host}:${route.nodePort}`,
    stateText(assessment),
  ]
}

const units: readonly [string, number][] = [
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
]

/** Whole days; for less than a day, the largest unit that fits. */
function timeLeft(ms: number): string {
  if (ms <= 0) return '0'
  if (ms >= 86_400_000) return String(Math.floor(ms / 86_400_000))
  const [name, unitMs] = units.find(([, unit]) => ms >= unit) ?? ['s', 1000]
  return `${Math.floor(ms / unitMs)} ${name}`
}

function stateText({ state, metadata }: Exclude<Assessment, { state: 'unusable' }>): string {
  const remarks = [
    ...(metadata.rejectedAt === null ? [] : ['new certificate rejected']),
    ...(metadata.hookPending ? ['hook pending'] : []),
    ...(metadata.insecure ? ['paired with --insecure'] : []),
  ]
  return (state === 'fine' && remarks.length > 0 ? remarks : [state, ...remarks]).join(', ')
}

function colour(text: string, assessment: Assessment | undefined, style: ChalkInstance): string {
  switch (assessment?.state) {
    case 'expired':
    case 'revoked':
    case 'unusable':
      return style.red(text)
    case 'due':
      return style.yellow(text)
    default:
      return text === 'fine' ? text : style.yellow(text)
  }
}
