import { daysLeft, type Metadata } from '../../../identity/identity.js'
import type { ProfileSummary } from '../../../identity/store.js'
import { oneLine } from '../../../redaction.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import type { OutputOptions } from '../../output/output.js'
import { styleFor } from '../../output/style.js'
import { describeDays, isoSeconds, validityEnd } from '../../output/validity.js'

export async function runList(options: OutputOptions, context: Context): Promise<void> {
  const { kyconnect, runtime, stdout, stderr } = context
  const identities = await kyconnect.store.summaries()
  const now = runtime.now()
  if (options.json === true) {
    await stdout.write(jsonLine({ identities: identities.map((identity) => documentOf(identity, now)) }))
    return
  }
  if (identities.length === 0) {
    await stderr.write('no identity is stored on this machine\n')
    return
  }
  const rows = identities.map((identity) => rowOf(identity, now))
  await stdout.write(formatTable([['PROFILE', 'APP', 'VALID UNTIL', 'DAYS LEFT', 'CLUSTER'], ...rows], context))
}

function documentOf({ profile, metadata, problem }: ProfileSummary, now: Date): unknown {
  if (metadata === undefined) return { profile, usable: false, problem: problem.message }
  const { app, commonName, notBefore, notAfter, gatewayHost, route, insecure } = metadata
  return {
    profile,
    usable: true,
    app,
    commonName,
    notBefore: isoSeconds(notBefore),
    notAfter: isoSeconds(notAfter),
    daysLeft: daysLeft(notAfter, now),
    gatewayHost,
    nodePort: route.nodePort,
    insecure,
  }
}

function rowOf({ profile, metadata, problem }: ProfileSummary, now: Date): string[] {
  if (metadata === undefined) return [profile, `unusable: ${problem.message}`]
  const left = daysLeft(metadata.notAfter, now)
  const days = left > 0 ? String(left) : describeDays(left)
  return [profile, metadata.app, validityEnd(metadata.notAfter, left), days, clusterOf(metadata)]
}

function clusterOf({ gatewayHost, route }: Metadata): string {
  const host = gatewayHost ?? 'unknown'
  return route.nodePort === null ? host : `${host}:${route.nodePort}`
}

/** The first row is the heading. A row with fewer cells than the heading does not widen the columns. */
function formatTable(rows: readonly (readonly string[])[], { stdout, runtime }: Context): string {
  const cells = rows.map((row) => row.map(oneLine))
  const [heading = []] = cells
  const widths = heading.map((_, column) => {
    const whole = cells.filter((row) => row.length === heading.length || column === 0)
    return Math.max(...whole.map((row) => row[column]?.length ?? 0))
  })
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  const style = styleFor(stdout, runtime.environment)
  return lines.map((line, index) => `${index === 0 ? style.dim(line) : line}\n`).join('')
}
