import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { pendingOf, storeAt } from '../support/identities.js'
import { jsonError, kyconnect, plainEnvironment, program, type Run } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let sandbox: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let home = ''

beforeAll(async () => {
  ;[sandbox, folder] = await Promise.all([
    startSandboxProcess(['--app', 'demo', '--app', 'shop']),
    temporaryFolder('profiles'),
  ])
  home = join(folder.path, 'home')
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})

function go(args: readonly string[], input = ''): Promise<Run> {
  return kyconnect(args, { env: { KYCONNECT_HOME: home }, input })
}

async function pair(app: string, profile: string): Promise<void> {
  const done = await kyconnect(['pair', '--profile', profile, '--url', '-'], {
    env: { ...sandbox.ready.env, KYCONNECT_HOME: home },
    input: await sandbox.tokenUrl(app),
  })
  expect(done.code, done.stderr).toBe(0)
}

describe('status', () => {
  test('shows what pair has stored, with the NodePort, and one that cannot be used', async () => {
    for (const [app, profile] of [
      ['demo', 'demo'],
      ['shop', 'a-longer-name'],
      ['demo', 'broken'],
    ] as const)
      await pair(app, profile)
    await writeFile(join(home, 'broken', 'current', 'identity.json'), '{')
    const done = await go(['status'])
    expect([done.code, done.stderr]).toEqual([0, ''])
    const [heading, ...rows] = done.stdout.trimEnd().split('\n')
    const port = sandbox.ready.gatewayPort
    const date = '\\d{4}-\\d\\d-\\d\\d'
    expect(rows).toEqual([
      expect.stringMatching(
        new RegExp(`^a-longer-name +shop +${date} +91 +${date} +gateway\\.kyma\\.local:${port} +fine$`),
      ),
      expect.stringMatching(/^broken +[- ]+unusable: .*identity\.json/),
      expect.stringMatching(/^demo +demo +/),
    ])
    const column = heading?.indexOf('VALID')
    expect([rows[0], rows[2]].map((row) => row?.search(/\d{4}-/))).toEqual([column, column])
    const { identities } = JSON.parse((await go(['status', 'demo', '--json'])).stdout) as { identities: unknown[] }
    expect(identities).toMatchObject([
      { profile: 'demo', usable: true, state: 'fine', nodePort: port, insecure: false },
    ])
  })
})

describe('rename', () => {
  test('stores the identity under the new profile, whole and usable', async () => {
    await pair('demo', 'before')
    const key = await readFile(join(home, 'before', 'current', 'key.pem'))
    const done = await go(['rename', 'before', 'after'])
    expect([done.code, done.stdout, done.stderr]).toEqual([0, '', 'Renamed the identity "before" to "after".\n'])
    expect(await readFile(join(home, 'after', 'current', 'key.pem'))).toEqual(key)
    expect((await go(['info', 'after', '--offline'])).stdout).toContain('profile      after')
    expect((await go(['call', 'metadata', '--profile', 'after'])).code).toBe(0)
    expect((await go(['info', 'before', '--offline'])).code).toBe(5)
    expect(await readdir(home)).not.toContain('before')
    expect((await go(['rename', 'after', 'before', '--json'])).stdout).toBe(
      '{"from":"after","to":"before","left":[]}\n',
    )
  })

  test('refuses a profile that is taken, one that is missing, and one that is not a name', async () => {
    const taken = await go(['rename', 'before', 'demo', '--json'])
    expect([taken.code, jsonError(taken).code]).toEqual([2, 'ERR_PROFILE_EXISTS'])
    expect(jsonError(await go(['rename', 'none', 'other', '--json'])).code).toBe('ERR_NO_IDENTITY')
    expect(jsonError(await go(['rename', 'before', '../x', '--json'])).code).toBe('ERR_PROFILE_NAME')
    expect((await go(['rename', 'before'])).code).toBe(2)
    expect(jsonError(await go(['rename', 'before', 'before', '--json'])).code).toBe('ERR_PROFILE_EXISTS')
    expect((await go(['info', 'before', '--offline'])).code).toBe(0)
  })
})

describe('a pending pairing', () => {
  const pendingKey = (profile: string): Promise<string> => readFile(join(home, profile, 'pending', 'key.pem'), 'utf8')

  async function begin(profile: string): Promise<string> {
    await storeAt(home).locked(profile, (change) => change.begin(pendingOf(profile)))
    return pendingKey(profile)
  }

  test('is not ended by a rename or an import to its profile', async () => {
    const key = await begin('waiting')
    const renamed = await go(['rename', 'before', 'waiting', '--json'])
    expect([jsonError(renamed).code, jsonError(renamed).message]).toEqual([
      'ERR_PROFILE_EXISTS',
      'a pairing is pending under the profile "waiting"',
    ])
    const copy = join(folder.path, 'copy-for-waiting')
    await cp(join(home, 'demo', 'current'), copy, { recursive: true, dereference: true })
    expect(jsonError(await go(['import', copy, '--profile', 'waiting', '--json'])).code).toBe('ERR_PROFILE_EXISTS')
    expect(await pendingKey('waiting')).toBe(key)
  })

  test('is deleted by remove, which asks first, where no identity is stored', async () => {
    await begin('given-up')
    expect((await go(['list'])).stdout).not.toContain('given-up')
    const refused = await go(['remove', 'given-up', '--json'])
    expect([refused.code, jsonError(refused).code]).toEqual([2, 'ERR_CONFIRMATION_NEEDED'])
    expect(jsonError(refused).message).toContain('the pending pairing "given-up" was not deleted')
    expect(await pendingKey('given-up')).toContain('PRIVATE KEY')
    const done = await go(['remove', 'given-up', '-y'])
    expect([done.code, done.stdout], done.stderr).toEqual([0, ''])
    expect(done.stderr).toContain('Deleted the pending pairing "given-up", its key and its token.')
    expect(await readdir(home)).not.toContain('given-up')
    await begin('given-up')
    const json = await go(['remove', 'given-up', '-y', '--json'])
    expect(json.stdout).toBe('{"removed":"given-up","what":"pending-pairing","left":[]}\n')
    expect(jsonError(await go(['remove', 'given-up', '-y', '--json'])).code).toBe('ERR_NO_IDENTITY')
  })

  test('that is damaged is deleted all the same, and a restored copy beside it stays', async () => {
    await begin('damaged')
    await writeFile(join(home, 'damaged', 'pending', 'pairing.json'), '{')
    await cp(join(home, 'demo', 'current'), join(home, 'damaged', 'current'), { recursive: true, dereference: true })
    const done = await go(['remove', 'damaged', '-y', '--json'])
    expect([done.code, done.stdout], done.stderr).toEqual([
      0,
      '{"removed":"damaged","what":"pending-pairing","left":[]}\n',
    ])
    expect(await readdir(join(home, 'damaged'))).toEqual(['current'])
    await rm(join(home, 'damaged'), { recursive: true })
  })

  test('comes along when its profile is renamed', async () => {
    await pair('demo', 'moving')
    const key = await begin('moving')
    expect((await go(['rename', 'moving', 'moved'])).code).toBe(0)
    expect(await pendingKey('moved')).toBe(key)
  })
})

describe('import', () => {
  test('stores a copy of an identity, usable at once, and leaves the copy as it is', async () => {
    const copy = join(folder.path, 'copy')
    await cp(join(home, 'demo', 'current'), copy, { recursive: true, dereference: true })
    const before = await readdir(copy)
    const done = await go(['import', copy, '--profile', 'imported'])
    expect([done.code, done.stdout]).toEqual([0, ''])
    expect(done.stderr).toMatch(/^Imported the identity of the App "demo"\.\n {2}valid until/)
    expect((await go(['call', 'metadata', '--profile', 'imported'])).code).toBe(0)
    expect(await readdir(copy)).toEqual(before)
    const taken = await go(['import', copy, '--json'])
    expect([taken.code, jsonError(taken).code]).toEqual([2, 'ERR_PROFILE_EXISTS'])
    const replaced = await go(['import', copy, '--profile', 'imported', '--force', '--json'])
    expect(JSON.parse(replaced.stdout)).toMatchObject({ app: 'demo', profile: 'imported', verified: false })
  })

  test('is what the error names for a folder that was copied without its pointer', async () => {
    await cp(join(home, 'demo', 'current'), join(home, 'lost', 'current'), { recursive: true, dereference: true })
    const done = await go(['info', 'lost', '--json'])
    expect([done.code, jsonError(done).hint]).toEqual([5, expect.stringContaining('kyconnect import')])
  })

  test('writes nothing through a link in the place of the profile', async () => {
    const copy = join(folder.path, 'copy-for-link')
    await cp(join(home, 'demo', 'current'), copy, { recursive: true, dereference: true })
    const elsewhere = join(folder.path, 'elsewhere')
    await mkdir(elsewhere, { mode: 0o700 })
    await symlink(elsewhere, join(home, 'linked'))
    const done = await go(['import', copy, '--profile', 'linked', '--force', '--json'])
    expect([done.code, jsonError(done).code]).toEqual([9, 'ERR_HOME_UNSAFE'])
    expect(await readdir(elsewhere)).toEqual([])
    await rm(join(home, 'linked'))
  })

  test('refuses a copy whose chain does not begin with its certificate', async () => {
    const copy = join(folder.path, 'copy-with-another-chain')
    await cp(join(home, 'demo', 'current'), copy, { recursive: true, dereference: true })
    for (const chain of ['', await readFile(join(copy, 'ca.crt'))]) {
      await writeFile(join(copy, 'chain.crt'), chain)
      const done = await go(['import', copy, '--profile', 'chainless', '--json'])
      expect([done.code, jsonError(done).message]).toEqual([5, expect.stringContaining('chain.crt')])
    }
  })

  test('believes the certificate, not identity.json, about its subject and its dates', async () => {
    const copy = join(folder.path, 'copy-with-edited-metadata')
    await cp(join(home, 'demo', 'current'), copy, { recursive: true, dereference: true })
    const certificate = new X509Certificate(await readFile(join(copy, 'client.crt')))
    const file = join(copy, 'identity.json')
    const written = JSON.parse(await readFile(file, 'utf8')) as object
    const lies = {
      app: 'other',
      commonName: 'other',
      subject: 'O=Other,CN=other',
      fingerprint: '0'.repeat(64),
      notBefore: '2001-01-01T00:00:00.000Z',
      notAfter: '2099-01-01T00:00:00.000Z',
    }
    await writeFile(file, JSON.stringify({ ...written, ...lies }))
    const done = await go(['import', copy, '--profile', 'edited', '--json'])
    expect(done.code, done.stderr).toBe(0)
    const report = JSON.parse(done.stdout) as { certificate: Record<string, string> }
    expect(report).toMatchObject({
      app: 'demo',
      commonName: 'demo',
      certificate: {
        subject: certificate.subject.split('\n').join(','),
        fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
        notBefore: new Date(certificate.validFrom).toISOString().replace('.000', ''),
        notAfter: new Date(certificate.validTo).toISOString().replace('.000', ''),
      },
    })
    const stored = await go(['info', 'edited', '--offline', '--json'])
    expect(JSON.parse(stored.stdout)).toMatchObject({ certificate: report.certificate })
  })

  test('takes `current`, a version, or the folder of a profile, whose pointer then decides', async () => {
    const key = await readFile(join(home, 'demo', 'current', 'key.pem'))
    const [version = ''] = await readdir(join(home, 'demo', 'versions'))
    await symlink(join(home, 'demo'), join(folder.path, 'link-to-profile'))
    const copy = join(folder.path, 'profile-without-pointer')
    await cp(join(home, 'demo'), copy, { recursive: true, verbatimSymlinks: true })
    await rm(join(copy, 'pointer.json'))
    const places = [
      join(home, 'demo', 'current'),
      join(home, 'demo', 'versions', version),
      join(home, 'demo'),
      join(folder.path, 'link-to-profile'),
      copy,
    ]
    for (const place of places) {
      const done = await go(['import', place, '--profile', 'taken-over', '--force', '--json'])
      expect(done.code, `${place} ${done.stderr}`).toBe(0)
      expect(await readFile(join(home, 'taken-over', 'current', 'key.pem'))).toEqual(key)
    }
    // Where `current` lags behind the pointer, the pointer counts.
    await pair('shop', 'lagging')
    const first = await readFile(join(home, 'lagging', 'current', 'key.pem'))
    const lagging = join(folder.path, 'lagging')
    await cp(join(home, 'lagging'), lagging, { recursive: true, verbatimSymlinks: true })
    await rm(join(lagging, 'current'))
    await cp(join(home, 'demo', 'current'), join(lagging, 'current'), { recursive: true, dereference: true })
    expect((await go(['import', lagging, '--profile', 'by-pointer'])).code).toBe(0)
    expect(await readFile(join(home, 'by-pointer', 'current', 'key.pem'))).toEqual(first)
  })

  test.each<[string, string, (at: string) => Promise<unknown>, number, string, string]>([
    ['a missing folder', 'none', () => Promise.resolve(), 9, 'AT does not exist', 'check the path'],
    [
      'a link to nothing',
      'dead',
      (at) => symlink('nowhere', at),
      9,
      'AT is a symbolic link that leads nowhere',
      'correct',
    ],
    ['a file', 'demo.tgz', (at) => writeFile(at, 'x'), 9, 'AT is not a folder', 'unpack it if it is an archive'],
    ['a file of an identity', 'key.pem', (at) => writeFile(at, 'x'), 9, 'AT is not a folder', 'kyconnect import IN'],
    [
      'an empty folder',
      'empty',
      (at) => mkdir(at),
      5,
      'AT holds no identity: identity.json is missing',
      'name the folder',
    ],
    [
      'a folder of profiles',
      'store',
      async (at) => {
        await mkdir(join(at, 'shop'), { recursive: true })
        await writeFile(join(at, 'shop', 'pointer.json'), '{}')
      },
      5,
      'AT holds no identity',
      'kyconnect import AT/shop',
    ],
    [
      'links to the files, as in a mounted Secret',
      'secret',
      async (at) => {
        await mkdir(at)
        for (const name of await readdir(join(home, 'demo', 'current')))
          await symlink(join(home, 'demo', 'current', name), join(at, name))
      },
      9,
      'AT/identity.json is a symbolic link, not a file',
      'cp -RL AT <copy>',
    ],
  ])('refuses %s, and says which folder to give', async (_, name, make, code, message, hint) => {
    const at = join(folder.path, name)
    await make(at)
    const done = await go(['import', at, '--json'])
    const there = (text: string): string => text.replaceAll('AT', at).replaceAll('IN', folder.path)
    expect([done.code, done.stdout], done.stderr).toEqual([code, ''])
    expect(jsonError(done).message).toContain(there(message))
    expect(jsonError(done).hint).toContain(there(hint))
    expect(jsonError(done).hint).not.toContain('KYCONNECT_HOME')
  })
})

describe('remove', () => {
  /** Runs it on a terminal and answers the question. */
  async function onTerminal(args: readonly string[], answer: string): Promise<{ code: number | null; screen: string }> {
    const command = [process.execPath, program, ...args].map((word) => `'${word}'`).join(' ')
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: plainEnvironment({ KYCONNECT_HOME: home, TERM: 'xterm-256color' }),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let screen = ''
    child.stdout.on('data', (chunk: Buffer) => {
      if (!screen.includes('(y/N)') && `${screen}${chunk.toString()}`.includes('(y/N)')) child.stdin.write(answer)
      screen += chunk.toString()
    })
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, screen }
  }

  test('needs a yes: without a terminal that is --yes, and nothing is deleted before', async () => {
    await pair('demo', 'goner')
    for (const command of ['remove', 'rm']) {
      const refused = await go([command, 'goner', '--json'])
      expect([refused.code, jsonError(refused).code]).toEqual([2, 'ERR_CONFIRMATION_NEEDED'])
      expect(jsonError(refused).hint).toContain('kyconnect remove goner --yes')
      expect(jsonError(refused).message).toBe('the identity "goner" was not deleted: --json asks no questions')
    }
    expect((await go(['remove', 'goner'])).stderr).toContain('was not deleted: there is no terminal to ask on')
    expect((await go(['info', 'goner', '--offline'])).code).toBe(0)
    const done = await go(['rm', 'goner', '-y'])
    expect([done.code, done.stdout]).toEqual([0, ''])
    expect(done.stderr).toMatch(/^Deleted the identity "goner"\.\nCopies of the certificate stay valid until \d{4}-/)
    expect(await readdir(home)).not.toContain('goner')
    for (const yes of [['-y'], []])
      expect(jsonError(await go(['remove', 'goner', '--json', ...yes])).code).toBe('ERR_NO_IDENTITY')
  })

  test('asks on a terminal, and no is the default', async () => {
    await pair('demo', 'asked')
    const kept = await onTerminal(['remove', 'asked'], '\r')
    expect([kept.code, kept.screen]).toEqual([
      2,
      expect.stringContaining('Delete the key and the certificate of "asked"'),
    ])
    expect(kept.screen).toContain('the answer was no')
    expect(kept.screen).toMatch(/The certificate of "asked" is not revoked and works until 20/)
    expect(await readdir(home)).toContain('asked')
    const deleted = await onTerminal(['remove', 'asked'], 'y\r')
    expect([deleted.code, deleted.screen]).toEqual([0, expect.stringContaining('Deleted the identity "asked".')])
    expect(await readdir(home)).not.toContain('asked')
  })

  test('deletes the key of an identity whose pointer is damaged', async () => {
    await pair('demo', 'pointless')
    await writeFile(join(home, 'pointless', 'pointer.json'), '{')
    const done = await go(['remove', 'pointless', '-y', '--json'])
    expect([done.code, done.stdout], done.stderr).toEqual([0, '{"removed":"pointless","what":"identity","left":[]}\n'])
    expect(await readdir(home)).not.toContain('pointless')
  })

  test('deletes an identity that cannot be used', async () => {
    const done = await go(['remove', 'broken', '-y', '--json'])
    expect([done.code, done.stdout], done.stderr).toEqual([0, '{"removed":"broken","what":"identity","left":[]}\n'])
    expect(await readdir(home)).not.toContain('broken')
  })
})
