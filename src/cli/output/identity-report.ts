import { daysLeft, type Identity, isoSeconds, type Urls } from '../../identity/identity.js'
import { type ShownRoute, showRoute } from '../../identity/route.js'
import type { Emit } from '../../progress.js'
import { oneLine } from '../../redaction.js'
import type { Context } from '../context.js'
import { jsonLine } from './json-document.js'
import { describeDays, validityEnd } from './validity.js'
import { wrapWords } from './word-wrap.js'

/** What every command reports about an identity. The keys of --json are stable; docs/reference.md describes them. */
export interface IdentityReport {
  readonly app: string
  readonly commonName: string
  readonly profile: string
  /** The folder that holds key.pem. */
  readonly directory: string | null
  readonly gatewayHost: string | null
  /** The NodePort that this run uses. */
  readonly nodePort: number | null
  /** How the services are reached, as it is stored with the identity. */
  readonly route: ShownRoute
  /** Paired without checking the server's certificate. */
  readonly insecure: boolean
  /** Whether the gateway accepted the certificate in this run. */
  readonly verified: boolean
  readonly certificate: {
    readonly subject: string
    readonly fingerprint: string
    readonly notBefore: string
    readonly notAfter: string
    readonly daysLeft: number
    /** null unless the certificate is known to be revoked: it works until it expires, and cannot be renewed. */
    readonly revokedAt: string | null
  }
  readonly urls: Urls
  readonly calledUrls: Urls
}

export function identityReport(
  { metadata, directory }: Identity,
  called: { nodePort: number | null; calledUrls: Urls },
  verified: boolean,
  now: Date,
): IdentityReport {
  const { app, commonName, profile, gatewayHost, insecure, subject, fingerprint, notBefore, notAfter, urls } = metadata
  return {
    app,
    commonName,
    profile,
    directory: directory ?? null,
    gatewayHost,
    nodePort: called.nodePort,
    route: showRoute(metadata.route),
    insecure,
    verified,
    certificate: {
      subject,
      fingerprint,
      notBefore: isoSeconds(notBefore),
      notAfter: isoSeconds(notAfter),
      daysLeft: daysLeft(notAfter, now),
      revokedAt: metadata.revokedAt === null ? null : isoSeconds(metadata.revokedAt),
    },
    urls,
    calledUrls: called.calledUrls,
  }
}

/** The report for a person: facts in two columns, then the URLs as received and, where a NodePort replaces the port, as called. */
export function identityLines(report: IdentityReport, columns?: number): string {
  const { certificate } = report
  const rows: [string, string][] = [
    ['App', report.app === report.commonName ? report.app : `${report.app} (certificate: ${report.commonName})`],
    [
      'profile',
      report.insecure ? `${report.profile} (paired with --insecure: the cluster was not verified)` : report.profile,
    ],
    ['valid from', certificate.notBefore],
    ['valid to', `${certificate.notAfter} (${describeDays(certificate.daysLeft)})`],
    ...(certificate.revokedAt === null
      ? []
      : [['revoked', `${certificate.revokedAt} (works until it expires, and cannot be renewed)`] as [string, string]]),
    ...(report.directory === null ? [] : [['stored in', report.directory] as [string, string]]),
    ['subject', certificate.subject],
    ['fingerprint', certificate.fingerprint],
    ['gateway', gatewayText(report)],
    ...routeRows(report.route),
  ]
  return `${rows.map(([name, value]) => `${name.padEnd(12)} ${oneLine(value)}\n`).join('')}URLs\n${urlLines(report, columns)}`
}

/** The URLs, each as received and, where it differs, as called; below their names where a terminal is too narrow for two columns. */
export function urlLines({ urls, calledUrls }: Pick<IdentityReport, 'urls' | 'calledUrls'>, columns?: number): string {
  const rows = Object.entries(urls).flatMap(([wireName, url]): [string, string][] => {
    const called = calledUrls[wireName]
    const name = oneLine(wireName)
    return called === undefined || called === url
      ? [[name, oneLine(url)]]
      : [
          [name, oneLine(url)],
          ['  called', oneLine(called)],
        ]
  })
  const inColumns = rows.map(([name, url]) => `  ${name.padEnd(14)} ${url}\n`)
  const fits = columns === undefined || inColumns.every((line) => line.length <= columns + 1)
  return (fits ? inColumns : rows.map(([name, url]) => `  ${name}\n    ${url}\n`)).join('')
}

/** The end of a pairing: the App, the validity, the place, and the command to run next. */
export function pairedLines(report: IdentityReport): string {
  return `\n${storedLines(`Paired with the App "${oneLine(report.app)}".`, report)}`
}

/** The end of an import: the App, the validity, the place, and the command to run next. */
export function importedLines(report: IdentityReport): string {
  return storedLines(`Imported the identity of the App "${oneLine(report.app)}".`, report)
}

function storedLines(heading: string, report: IdentityReport): string {
  const { certificate } = report
  return [
    heading,
    validUntilLine(certificate),
    `  stored in    ${oneLine(report.directory ?? 'the store')} (profile ${report.profile})`,
    `  next         kyconnect services list --profile ${report.profile}    lists the services of the App`,
    '',
  ].join('\n')
}

/** The end of a rollback: the identity in use now, and the command that returns to the other one. */
export function restoredLines({ app, profile, directory, certificate }: IdentityReport): string {
  return [
    `Restored the identity of the App "${oneLine(app)}" (profile ${profile}).`,
    `  fingerprint  ${certificate.fingerprint}`,
    validUntilLine(certificate),
    `  stored in    ${oneLine(directory ?? 'the store')}`,
    `  next         kyconnect rollback ${profile}    returns to the identity that this one replaced`,
    '',
  ].join('\n')
}

function validUntilLine({ notAfter, daysLeft: left }: IdentityReport['certificate']): string {
  return `  valid until  ${validityEnd(new Date(notAfter), left)} (${describeDays(left)})`
}

/** What is stored about reaching the gateway, apart from its NodePort. */
function routeRows({ resolve, caFile, proxy }: ShownRoute): [string, string][] {
  return [
    ...resolve.map((rule): [string, string] => ['resolve', rule]),
    ...(caFile ? [['CA file', 'stored as server-ca.pem'] as [string, string]] : []),
    ...(proxy === null ? [] : [['proxy', proxy] as [string, string]]),
  ]
}

function gatewayText({ gatewayHost, nodePort }: IdentityReport): string {
  const host = gatewayHost ?? 'unknown'
  return nodePort === null ? host : `${host}, NodePort ${nodePort}`
}

/** Writes a report to stdout as one JSON document; a command may add to it. */
export async function writeJsonReport(report: IdentityReport, { stdout }: Context): Promise<void> {
  await stdout.write(jsonLine(report))
}

/** Writes lines to stdout, wrapped where it is a terminal. */
export async function writeLines(lines: string, { stdout }: Context): Promise<void> {
  await stdout.write(wrapWords(lines, stdout.columns()))
}

/** Warns when less than a third of a certificate's life is left, or none. */
export function warnOfExpiry({ metadata }: Identity, now: Date, emit: Emit): void {
  const { profile, notBefore, notAfter, revokedAt } = metadata
  const lifeMs = notAfter.getTime() - notBefore.getTime()
  if (notAfter.getTime() - now.getTime() >= lifeMs / 3) return
  const [left, revoked] = [daysLeft(notAfter, now), revokedAt !== null]
  emit({ type: 'warning', warning: 'certificate-expiring', profile, notAfter, daysLeft: left, revoked })
}
