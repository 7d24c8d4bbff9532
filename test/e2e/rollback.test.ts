import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { jsonError, kyconnect, type Run } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let sandbox: SandboxProcess
let home = ''
let homes = 0

beforeAll(async () => {
  ;[folder, sandbox] = await Promise.all([temporaryFolder('rollback'), startSandboxProcess()])
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})
beforeEach(async () => {
  home = join(folder.path, `home-${homes++}`)
  const paired = await go(['pair', '--url', '-'], await sandbox.tokenUrl())
  expect(paired.code, paired.stderr).toBe(0)
})

function go(args: readonly string[], input = ''): Promise<Run> {
  return kyconnect(args, { env: { ...sandbox.ready.env, KUBECONFIG: '', KYCONNECT_HOME: home }, input })
}

const fingerprint = async (): Promise<string> => {
  const { certificate } = JSON.parse((await go(['info', '--json'])).stdout) as { certificate: { fingerprint: string } }
  return certificate.fingerprint
}

/** Changes the stored metadata of the identity that a rollback would restore. */
async function changePrevious(fields: object): Promise<void> {
  const pointer = JSON.parse(await readFile(join(home, 'demo', 'pointer.json'), 'utf8')) as { previous: string }
  const file = join(home, 'demo', 'versions', pointer.previous, 'identity.json')
  await writeFile(file, JSON.stringify({ ...(JSON.parse(await readFile(file, 'utf8')) as object), ...fields }))
}

test('after a renewal, the certificate before it is restored, and the next one returns to the renewed', async () => {
  const paired = await fingerprint()
  expect((await go(['renew'])).code).toBe(0)
  const renewed = await fingerprint()
  expect(renewed).not.toBe(paired)
  const done = await go(['rollback', 'demo'])
  expect([done.code, done.stdout, done.stderr]).toEqual([0, '', expect.stringContaining(paired)])
  expect(done.stderr).toContain('kyconnect rollback demo')
  expect(await fingerprint()).toBe(paired)
  expect(JSON.parse((await go(['rollback', '--json'])).stdout)).toMatchObject({
    profile: 'demo',
    verified: false,
    certificate: { fingerprint: renewed },
  })
  expect(await fingerprint()).toBe(renewed)
})

test.each([
  ['expired', { notAfter: '2026-01-01T00:00:00.000Z' }, 'ERR_CERTIFICATE_EXPIRED'],
  ['revoked', { revokedAt: '2026-11-20T00:00:00.000Z' }, 'ERR_CERTIFICATE_REVOKED'],
])('a certificate that is %s is restored only with --yes', async (_, fields, code) => {
  const paired = await fingerprint()
  expect((await go(['renew'])).code).toBe(0)
  const renewed = await fingerprint()
  await changePrevious(fields)
  for (const args of [
    ['rollback', '--json'],
    ['pair', '--rollback', '--json'],
  ]) {
    const refused = await go(args)
    expect([refused.code, jsonError(refused).code]).toEqual([4, code])
    expect(jsonError(refused).hints).toEqual([expect.stringContaining('kyconnect rollback demo --yes')])
    expect(await fingerprint()).toBe(renewed)
  }
  const done = await go(['rollback', '--yes', '--json'])
  expect([done.code, JSON.parse(done.stdout)], done.stderr).toEqual([
    0,
    expect.objectContaining({ certificate: expect.objectContaining({ fingerprint: paired }) as unknown }),
  ])
})

test('without anything to restore it fails with 5', async () => {
  const done = await go(['rollback', '--json'])
  expect([done.code, jsonError(done).code]).toEqual([5, 'ERR_NO_IDENTITY'])
  expect(jsonError(done).hints[0]).toBe('keep the current identity, which is unchanged: kyconnect info --profile demo')
  expect((await go(['rollback', 'shop'])).code).toBe(5)
})

test('pair --rollback does the same, with a note that names the command', async () => {
  const paired = await fingerprint()
  expect((await go(['renew'])).code).toBe(0)
  const done = await go(['pair', '--rollback', '--json'])
  expect(JSON.parse(done.stdout)).toMatchObject({ certificate: { fingerprint: paired } })
  expect(JSON.parse(done.stderr)).toMatchObject({ warning: { code: 'deprecated', instead: 'kyconnect rollback' } })
  expect((await go(['pair', '--help'])).stdout).not.toContain('rollback')
})
