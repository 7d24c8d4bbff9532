import { daysLeft, isoSeconds } from '../../../identity/identity.js'
import type { Assessment } from './assessment.js'

/** One identity in the document of --json. The keys are stable; docs/reference.md describes them. */
export function documentOf(assessment: Assessment, now: Date): unknown {
  const { profile, state } = assessment
  if (assessment.state === 'unusable') return { profile, usable: false, state, problem: assessment.problem.message }
  const { metadata, nextRenewal } = assessment
  const { app, commonName, notBefore, notAfter, gatewayHost, route, insecure, revokedAt, rejectedAt, hookPending } =
    metadata
  return {
    profile,
    usable: true,
    state,
    app,
    commonName,
    notBefore: isoSeconds(notBefore),
    notAfter: isoSeconds(notAfter),
    daysLeft: daysLeft(notAfter, now),
    nextRenewal: nextRenewal === null ? null : isoSeconds(nextRenewal),
    revokedAt: revokedAt === null ? null : isoSeconds(revokedAt),
    rejectedAt: rejectedAt === null ? null : isoSeconds(rejectedAt),
    hookPending,
    gatewayHost,
    nodePort: route.nodePort,
    insecure,
  }
}
