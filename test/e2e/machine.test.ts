import { chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSandbox } from '../../src/sandbox/sandbox.js'
import { openssl, temporaryFolder } from '../support/certificates.js'
import { json, startFakeKyma } from '../support/fake-kyma.js'
import { jsonError, kyconnect, type Run, run, type RunOptions } from '../support/kyconnect.js'
import { startNginxGateway } from '../support/nginx.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'
import { mountSmallDisk } from '../support/small-disk.js'

let sandbox: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>
/** A user without rights: uid 65534 where the tests run as root, else the user who runs them. */
const user = process.getuid?.() === 0 ? 65534 : undefined

beforeAll(async () => {
  ;[sandbox, folder] = await Promise.all([startSandboxProcess(), temporaryFolder('machine')])
  await chmod(folder.path, 0o755)
  // Its certificates are for this process alone.
  await writeFile(join(folder.path, 'ca.pem'), await readFile(sandbox.ready.caFile))
  await chmod(join(folder.path, 'ca.pem'), 0o644)
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})

async function ownFolder(name: string, mode: number): Promise<string> {
  const path = join(folder.path, name)
  await mkdir(path)
  if (user !== undefined) await chown(path, user, user)
  await chmod(path, mode)
  return path
}

/** Pairs as a user without rights. */
async function pairAsUser(home: string, args: readonly string[] = [], options: RunOptions = {}): Promise<Run> {
  return kyconnect(['pair', '--json', '--url', '-', ...args], {
    ...(user === undefined ? {} : { uid: user }),
    ...options,
    env: {
      ...sandbox.ready.env,
      KYCONNECT_CA_FILE: join(folder.path, 'ca.pem'),
      KYCONNECT_HOME: home,
      HOME: home,
      ...options.env,
    },
    input: options.input ?? (await sandbox.tokenUrl()),
  })
}

test('a home that cannot be written to is reported before the token is used: 9', async () => {
  const home = await ownFolder('read-only', 0o500)
  const url = await sandbox.tokenUrl()
  const refused = await pairAsUser(home, [], { input: url })
  expect([refused.code, jsonError(refused).code]).toEqual([9, 'ERR_FILES'])
  expect(jsonError(refused).message).toContain(home)
  expect(jsonError(refused).message).toMatch(/permission denied/)
  await chmod(home, 0o700)
  const done = await pairAsUser(home, [], { input: url })
  expect(done.code, done.stderr).toBe(0)
})

test('a home that others can write to, or that belongs to another user, is refused: 9', async () => {
  const open = await ownFolder('open', 0o777)
  const refused = await pairAsUser(open)
  expect([refused.code, jsonError(refused).code]).toEqual([9, 'ERR_HOME_UNSAFE'])
  expect(jsonError(refused).hint).toContain('chmod go-w')
  expect(await readdir(open)).toEqual([])
  const foreign = await pairAsUser(user === undefined ? '/usr' : folder.path)
  expect([foreign.code, jsonError(foreign).code]).toEqual([9, 'ERR_HOME_UNSAFE'])
  expect(jsonError(foreign).message).toContain('belongs to another user')
})

test('parents of the home that others can write to are not judged', async () => {
  const parent = await ownFolder('shared', 0o1777)
  const done = await pairAsUser(join(parent, 'home'))
  expect(done.code, done.stderr).toBe(0)
})

test('a full disk: 9, said before the CSR is sent, and the identity that was there still works', async () => {
  const home = join(tmpdir(), `kyconnect-disk-${process.pid}`)
  await mkdir(home)
  const disk = await mountSmallDisk(home, 400)
  try {
    await chmod(home, 0o700)
    const env = { ...sandbox.ready.env, KYCONNECT_HOME: home }
    const go = (args: readonly string[], input = ''): Promise<Run> => kyconnect(args, { env, input })
    const first = await go(['pair', '--json', '--url', '-'], await sandbox.tokenUrl())
    expect(first.code, first.stderr).toBe(0)
    const before = await readFile(join(home, 'demo', 'current', 'key.pem'))
    await run('bash', ['-c', 'head -c 1M /dev/zero > "$0/filler"', home])
    const full = await go(['pair', '--json', '--force', '--url', '-'], await sandbox.tokenUrl())
    expect([full.code, jsonError(full).code]).toEqual([9, 'ERR_FILES'])
    expect(jsonError(full).message).toMatch(/no space left/)
    expect(await readFile(join(home, 'demo', 'current', 'key.pem'))).toEqual(before)
    expect((await go(['info', '--json'])).code).toBe(0)
    expect((await readdir(join(home, 'demo'))).sort()).toEqual(['current', 'pointer.json', 'versions'])
    await rm(join(home, 'filler'))
    expect((await go(['pair', '--json', '--force', '--url', '-'], await sandbox.tokenUrl())).code).toBe(0)
  } finally {
    await disk.unmount()
    await rm(home, { recursive: true, force: true })
  }
})

test('a disk that fills up while the service signs: the certificate is stored in the reserved space', async () => {
  const home = join(tmpdir(), `kyconnect-reserve-${process.pid}`)
  await mkdir(home)
  const [disk, fake] = await Promise.all([mountSmallDisk(home, 400), startFakeKyma()])
  try {
    await chmod(home, 0o700)
    const fill = (): Promise<Run> => run('bash', ['-c', 'head -c 1M /dev/zero > "$0/filler"', home])
    fake.faults.csr = async (_, response, body) => {
      const filled = await fill()
      expect(filled.stderr).toContain('No space left')
      json(response, 201, await fake.sign(body))
    }
    const env = { ...fake.env, KYCONNECT_HOME: home }
    const done = await kyconnect(['pair', '--json', '--url', '-'], { env, input: fake.tokenUrl })
    expect(done.code, done.stderr).toBe(0)
    await openssl(
      'verify',
      '-CAfile',
      join(home, 'demo', 'current', 'ca.crt'),
      join(home, 'demo', 'current', 'client.crt'),
    )
  } finally {
    await fake.stop()
    await disk.unmount()
    await rm(home, { recursive: true, force: true })
  }
})

test('standard output on a full disk is reported: 9', async () => {
  const home = await ownFolder('full-output', 0o700)
  expect((await pairAsUser(home)).code).toBe(0)
  const done = await run(
    'bash',
    [
      '-c',
      '"$0" "$@" > /dev/full',
      process.execPath,
      join(import.meta.dirname, '../../bin/kyconnect.js'),
      'info',
      '--json',
    ],
    {
      ...(user === undefined ? {} : { uid: user }),
      env: { KYCONNECT_HOME: home, HOME: home },
    },
  )
  expect([done.code, jsonError(done).code]).toEqual([9, 'ERR_FILES'])
})

test('compiled code is kept only where no other user can write, and a start works without it', async () => {
  const cache = await ownFolder('cache', 0o777)
  const home = await ownFolder('cached', 0o700)
  const info = (): Promise<Run> =>
    kyconnect(['info'], {
      ...(user === undefined ? {} : { uid: user }),
      env: { HOME: home, KYCONNECT_HOME: join(home, 'k'), XDG_CACHE_HOME: cache },
    })
  expect((await info()).code).toBe(5)
  expect(await readdir(cache)).toEqual([])
  await chmod(cache, 0o700)
  expect((await info()).code).toBe(5)
  const kept = join(cache, 'kyconnect', 'code')
  const files = await readdir(kept)
  expect(files.length).toBeGreaterThan(1)
  expect(((await stat(kept)).mode & 0o777).toString(8)).toBe('700')
  // Damaged code is not run.
  for (const file of files) await writeFile(join(kept, file), 'garbage')
  expect((await info()).code).toBe(5)
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a real NGINX as gateway, %s: the whole job with it, and its refusals are reported',
  async (tls) => {
    const local = await startSandbox({
      apps: ['demo', 'shop'],
      domain: 'kyma.local',
      connectorPort: 0,
      gatewayPort: 0,
      internalPort: 0,
      servicesPort: 0,
      tokenTtlSeconds: 300,
      validitySeconds: 92 * 86_400,
    })
    const { ready, forProxy } = local
    if (forProxy === undefined) throw new Error('the sandbox serves nothing to stand in front of')
    const nginx = await startNginxGateway({ ...forProxy, apps: ['demo', 'shop'], tls })
    try {
      const home = join(folder.path, `nginx-${tls}`)
      const env = { ...ready.env, KYCONNECT_NODE_PORT: String(nginx.port), KYCONNECT_HOME: home }
      const paired = await kyconnect(['pair', '--json', '--url', '-'], { env, input: ready.tokenUrls['demo'] ?? '' })
      expect(paired.code, paired.stderr).toBe(0)
      const alone = { env: { KYCONNECT_HOME: home } }
      expect((await kyconnect(['info'], alone)).code).toBe(0)
      const service = { provider: 'p', name: 'n', description: 'd', api: { targetUrl: 'https://shop.example.com' } }
      expect((await kyconnect(['call', 'metadata', '-d', JSON.stringify(service)], alone)).stdout).toMatch(/^\{"id":/)
      const event = {
        'event-type': 'order.created',
        'event-type-version': 'v1',
        'event-time': '2026-11-23T20:00:00Z',
        data: {},
      }
      expect((await kyconnect(['call', 'events', '-d', JSON.stringify(event)], alone)).stdout).toMatch(/event-id/)

      const tooLarge = join(folder.path, 'too-large')
      await writeFile(tooLarge, Buffer.alloc(6 * 1024 * 1024, 0x20))
      const large = await kyconnect(['call', 'metadata', '-d', `@${tooLarge}`, '--allow-starred', '--json'], alone)
      expect([large.code, large.stdout]).toEqual([6, expect.stringContaining('413 Request Entity Too Large')])

      // A certificate of another CA in the place of ours, and another App's path.
      const current = join(home, 'demo', 'current')
      const kept = await Promise.all(
        ['client.crt', 'chain.crt', 'identity.json'].map(
          async (name) => [name, await readFile(join(current, name), 'utf8')] as const,
        ),
      )
      const other = kept.map(([name, text]) => [name, text.replaceAll('/demo/v1/', '/shop/v1/')] as const)
      await writeFile(join(current, 'identity.json'), other.find(([name]) => name === 'identity.json')?.[1] ?? '')
      const forbidden = await kyconnect(['call', 'metadata', '--json'], alone)
      expect([forbidden.code, jsonError(forbidden).hint]).toEqual([6, expect.stringContaining('another App')])
      for (const [name, text] of kept) await writeFile(join(current, name), text)
      const foreign = await openssl('req', '-x509', '-key', join(current, 'key.pem'), '-subj', '/CN=demo', '-days', '1')
      for (const name of ['client.crt', 'chain.crt']) await writeFile(join(current, name), foreign)
      const refused = await kyconnect(['info', '--json'], alone)
      expect([refused.code, jsonError(refused).code]).toEqual([4, 'ERR_CLIENT_CERTIFICATE_REFUSED'])
      expect(jsonError(refused).message).toContain('The SSL certificate error')
    } finally {
      await nginx.stop()
      await local.close()
    }
  },
)
