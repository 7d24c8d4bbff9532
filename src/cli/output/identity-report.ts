import { daysLeft, type Identity, type Urls } from '../../identity/identity.js'
import { oneLine } from '../../redaction.js'
import type { Context } from '../context.js'

/** What is told of an identity, in the same words by every command; the keys of --json are stable. */
export interface IdentityReport {
  readonly app: string
  readonly commonName: string
  readonly profile: string
  /** The folder that holds key.pem. */
  readonly directory: string | null
  readonly gatewayHost: string | null
  readonly nodePort: number | null
  /** Paired with the server's certificate unchecked. */
  readonly insecure: boolean
  readonly certificate: {
    readonly subject: string
    readonly fingerprint: string
    readonly notBefore: string
    readonly notAfter: string
    readonly daysLeft: number
  }
  readonly urls: Urls
  readonly calledUrls: Urls
}

export function identityReport(
  { metadata, directory }: Identity,
  called: { nodePort: number | null; calledUrls: Urls },
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
    insecure,
    certificate: {
      subject,
      fingerprint,
      notBefore: isoSeconds(notBefore),
      notAfter: isoSeconds(notAfter),
      daysLeft: daysLeft(notAfter, now),
    },
    urls,
    calledUrls: called.calledUrls,
  }
}

/** The report for a person: facts in two columns, URLs as they are and, where a NodePort comes in, as they are called. */
export function identityLines(report: IdentityReport): string {
  const { certificate, urls, calledUrls } = report
  const rows: [string, string][] = [
    ['App', report.app === report.commonName ? report.app : `${report.app} (certificate: ${report.commonName})`],
    [
      'profile',
      report.insecure ? `${report.profile} (paired with --insecure: the cluster was not verified)` : report.profile,
    ],
    ...(report.directory === null ? [] : [['stored in', report.directory] as [string, string]]),
    ['subject', certificate.subject],
    ['fingerprint', certificate.fingerprint],
    ['valid from', certificate.notBefore],
    ['valid to', `${certificate.notAfter} (${days(certificate.daysLeft)})`],
    ['gateway', gatewayText(report)],
  ]
  const table = rows.map(([name, value]) => `${name.padEnd(12)} ${oneLine(value)}\n`).join('')
  const listed = Object.entries(urls).map(([name, url]) => {
    const called = calledUrls[name]
    return `  ${name.padEnd(14)} ${oneLine(url)}\n${called === undefined || called === url ? '' : `  ${''.padEnd(8)}called ${oneLine(called)}\n`}`
  })
  return `${table}URLs\n${listed.join('')}`
}

/** The end of a pairing: for which App, until when, where, and what to run next. */
export function pairedLines(report: IdentityReport): string {
  const { certificate } = report
  return [
    '',
    `Paired with the App "${oneLine(report.app)}".`,
    `  valid until  ${certificate.notAfter.slice(0, 10)} (${days(certificate.daysLeft)})`,
    `  stored in    ${report.directory ?? 'the store'} (profile ${report.profile})`,
    `  next         kyconnect call metadata --profile ${report.profile}    lists the services of the App`,
    '',
  ].join('\n')
}

/** The end of a rollback: what is in force again, and how to go back on it. */
export function restoredLines({ app, profile, directory, certificate }: IdentityReport): string {
  return [
    `Put back the identity of the App "${oneLine(app)}" (profile ${profile}).`,
    `  fingerprint  ${certificate.fingerprint}`,
    `  valid until  ${certificate.notAfter.slice(0, 10)} (${days(certificate.daysLeft)})`,
    `  stored in    ${directory ?? 'the store'}`,
    `  next         the identity it replaces comes back with: kyconnect pair --rollback --profile ${profile}`,
    '',
  ].join('\n')
}

function gatewayText({ gatewayHost, nodePort }: IdentityReport): string {
  const host = gatewayHost ?? 'unknown'
  return nodePort === null ? host : `${host}, NodePort ${nodePort}`
}

function days(left: number): string {
  if (left < 0) return 'expired'
  if (left === 0) return 'less than a day left'
  return left === 1 ? '1 day left' : `${left} days left`
}

/** With --json the document, else the lines; nothing else goes to stdout. */
export async function writeReport(report: IdentityReport, json: boolean, { stdout }: Context): Promise<void> {
  await stdout.write(json ? `${JSON.stringify(report)}\n` : identityLines(report))
}

/** Certificates know whole seconds. */
function isoSeconds(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, 'Z')
}
