import { afterAll, beforeAll, expect, test } from 'vitest'
import { CertificateRevokedError, NetworkError } from '../../src/errors.js'
import type { Identity } from '../../src/identity/identity.js'
import type { ProgressEvent } from '../../src/progress.js'
import { reportRenewals } from '../../src/renewal/renewal-report.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial, metadataOf } from '../support/identities.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let first: Identity
let second: Identity
let emitted: ProgressEvent[] = []
const emit = (event: ProgressEvent): unknown => emitted.push(event)

beforeAll(async () => {
  folder = await temporaryFolder('renewal-report')
  const materials = await Promise.all(['first', 'second'].map((name) => makeMaterial(folder.path, name)))
  const [one, two] = materials.map((material) => ({ material, metadata: metadataOf('demo', material) }))
  if (one === undefined || two === undefined) throw new Error('two identities were made')
  ;[first, second] = [one, two]
})
afterAll(() => folder.remove())

const refused = new NetworkError('connection refused', { reason: 'ECONNREFUSED' })
const reset = new NetworkError('the connection broke', { reason: 'ECONNRESET' })

test('each reason for which a renewal fails is reported once, and once more after a renewal', () => {
  emitted = []
  const report = reportRenewals(first.metadata, emit)
  for (const error of [refused, refused, reset, refused, reset]) report.onError(error)
  report.onChange(second)
  report.onError(refused)
  const failed = { type: 'warning', warning: 'renewal-failed', profile: 'demo' }
  const [before, after] = [first.metadata, second.metadata].map(({ notAfter }) => ({ notAfter }))
  expect(emitted).toEqual([
    { ...failed, ...before, cause: 'connection refused' },
    { ...failed, ...before, cause: 'the connection broke' },
    { type: 'notice', notice: 'certificate-renewed', profile: 'demo', ...after },
    { ...failed, ...after, cause: 'connection refused' },
  ])
})

test('a change of anything but the certificate is not reported as a renewal', () => {
  emitted = []
  reportRenewals(first.metadata, emit).onChange({ ...first, metadata: { ...first.metadata, hookPending: true } })
  expect(emitted).toEqual([])
})

test('a certificate that was revoked is reported only if that was not known at the start', () => {
  emitted = []
  const error = new CertificateRevokedError('revoked')
  reportRenewals({ ...first.metadata, revokedAt: new Date() }, emit).onError(error)
  expect(emitted).toEqual([])
  reportRenewals(first.metadata, emit).onError(error)
  expect(emitted).toMatchObject([{ warning: 'renewal-failed', cause: 'revoked' }])
})
