import type { MetadataSummary } from '../identity/identity.js'
import type { ProfileSummary } from '../identity/store.js'
import { stripControl } from '../redaction.js'
import { type DueRule, renewalDate } from './due.js'

/** The name of every metric begins with this. */
const prefix = 'kyconnect_'

/**
 * The state of all identities in the text format of Prometheus, version 0.0.4: for the textfile collector of node_exporter, and for
 * /metrics. Every metric is a gauge with the labels `app` and `profile`; an instant is in seconds since 1970. An identity that cannot be
 * read appears only in `identity_usable`, with an empty app.
 */
export function formatMetrics(summaries: readonly ProfileSummary[], rule: DueRule, now: Date): string {
  const readable = summaries.flatMap(({ metadata }) => (metadata === undefined ? [] : [metadata]))
  const certificateGauge = (name: string, help: string, value: (metadata: MetadataSummary) => number): string =>
    gauge(
      name,
      help,
      readable.map((metadata) => [metadata, value(metadata)]),
    )
  return [
    certificateGauge(
      'certificate_not_before_seconds',
      'When the certificate begins to be valid, as Unix time.',
      (its) => seconds(its.notBefore),
    ),
    certificateGauge('certificate_not_after_seconds', 'When the certificate expires, as Unix time.', (its) =>
      seconds(its.notAfter),
    ),
    certificateGauge(
      'certificate_renewal_due_seconds',
      'When the certificate is due for renewal, as Unix time.',
      (its) => seconds(renewalDate(its, rule)),
    ),
    certificateGauge('certificate_revoked', 'Whether the certificate has been revoked: 1 if so.', (its) =>
      its.revokedAt === null ? 0 : 1,
    ),
    certificateGauge(
      'hook_pending',
      'Whether the --exec command is pending, because it has not succeeded since the last renewal: 1 if so.',
      (its) => (its.hookPending ? 1 : 0),
    ),
    gauge(
      'identity_usable',
      'Whether the identity can be used: 0 if it is damaged or its certificate has expired.',
      summaries.map(({ profile, metadata }) =>
        metadata === undefined ? [{ app: '', profile }, 0] : [metadata, metadata.notAfter <= now ? 0 : 1],
      ),
    ),
  ].join('')
}

/** The lines of one metric; none without samples. */
function gauge(
  name: string,
  help: string,
  samples: readonly (readonly [Pick<MetadataSummary, 'app' | 'profile'>, number])[],
): string {
  if (samples.length === 0) return ''
  const lines = samples.map(
    ([{ app, profile }, value]) =>
      `${prefix}${name}{app="${escapeLabel(app)}",profile="${escapeLabel(profile)}"} ${value}\n`,
  )
  return `# HELP ${prefix}${name} ${help}\n# TYPE ${prefix}${name} gauge\n${lines.join('')}`
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }

/** Control characters are left out, because the text may be shown on a terminal. */
function escapeLabel(text: string): string {
  return stripControl(text).replace(/[\\"\n]/g, (character) => escapes[character] ?? character)
}

function seconds(date: Date): number {
  return date.getTime() / 1000
}
