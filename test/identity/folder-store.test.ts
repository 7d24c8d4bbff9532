import { execFile, spawn } from 'node:child_process'
import { X509Certificate, createPrivateKey, randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  FilesError,
  HomeUnsafeError,
  IdentityUnusableError,
  LockHeldError,
  NoIdentityError,
  ProfileNameError,
} from '../../src/errors.js'
import type { FolderStore, FolderStoreDeps } from '../../src/identity/folder-store.js'
import { readOwnFile } from '../../src/identity/own-files.js'
import type { Identity, Material, Metadata } from '../../src/identity/identity.js'
import { publicKeyDer } from '../../src/pki/key.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial, metadataOf, modes, pendingOf, storeAt } from '../support/identities.js'

const run = promisify(execFile)

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let one: Material
let two: Material
let three: Material
let home: string
let count = 0

beforeAll(async () => {
  folder = await temporaryFolder('store')
  ;[one, two, three] = (await Promise.all(['one', 'two', 'three'].map((name) => makeMaterial(folder.path, name)))) as [
    Material,
    Material,
    Material,
  ]
})
afterAll(() => folder.remove())
beforeEach(() => {
  home = join(folder.path, `home-${++count}`)
})

async function commit(store: FolderStore, material: Material, profile = 'demo'): Promise<Identity> {
  const { value, problem } = await store.locked(profile, async (change) => {
    await change.begin(pendingOf(profile))
    return change.commit(metadataOf(profile, material), material)
  })
  expect(problem).toBeUndefined()
  return value
}

async function rollback(store: FolderStore, profile = 'demo'): Promise<Identity> {
  return (await store.locked(profile, (change) => change.rollback())).value
}

/** What a command does first: repair, then read. */
async function open(store: FolderStore, profile = 'demo'): Promise<Identity> {
  await store.mend(profile)
  return store.load(profile)
}

async function names(store: FolderStore): Promise<string[]> {
  return (await store.summaries()).map(({ profile }) => profile)
}

const current = (...rest: string[]): string => join(home, 'demo', 'current', ...rest)
const keyOf = (): Promise<string> => readFile(current('key.pem'), 'utf8')

describe('an identity', () => {
  test('comes back as it was committed, by another store as well, and the files are there for other programs', async () => {
    const stored = await commit(storeAt(home), one)
    const loaded = await storeAt(home).load('demo')
    expect(loaded).toEqual(stored)
    expect(loaded.metadata).toEqual(metadataOf('demo', one))
    expect(loaded.directory).toBe(current())
    const files = ['key.pem', 'client.crt', 'chain.crt', 'ca.crt'].map((name) => readFile(current(name), 'utf8'))
    expect(await Promise.all(files)).toEqual([one.key, one.leaf, one.chain, one.ca])
    expect(await readFile(current('server-ca.pem'), 'utf8')).toBe(one.ca)
    expect((await readdir(join(home, 'demo'))).sort()).toEqual(['current', 'pointer.json', 'versions'])
  })

  test('takes the place of another in one step, and the one before can be put back, and forth', async () => {
    const store = storeAt(home)
    await commit(store, one)
    await commit(store, two)
    expect(await keyOf()).toBe(two.key)
    expect((await rollback(store)).material).toEqual(one)
    expect(await keyOf()).toBe(one.key)
    expect((await store.load('demo')).material).toEqual(one)
    expect((await rollback(store)).material).toEqual(two)
  })

  test('that was replaced twice is deleted: two versions are kept', async () => {
    const store = storeAt(home)
    for (const material of [one, two, three]) await commit(store, material)
    expect(await readdir(join(home, 'demo', 'versions'))).toHaveLength(2)
    expect((await rollback(store)).material).toEqual(two)
  })

  test('has nothing to roll back to after its first commit, nor where there is none', async () => {
    const store = storeAt(home)
    await expect(rollback(store)).rejects.toBeInstanceOf(NoIdentityError)
    await commit(store, one)
    await expect(rollback(store)).rejects.toThrow('has no previous identity')
    expect(await keyOf()).toBe(one.key)
  })

  test('gets new metadata without a new version', async () => {
    const store = storeAt(home)
    const stored = await commit(store, one)
    const metadata = {
      ...stored.metadata,
      urls: { metadataUrl: 'https://gateway.kyma.local/demo/v1/metadata/services' },
    }
    await store.locked('demo', (change) => change.amend(() => metadata))
    expect((await store.load('demo')).metadata).toEqual(metadata)
    expect(await readdir(join(home, 'demo', 'versions'))).toHaveLength(1)
  })

  test('stays as it is when a file of it would become too large to be read back', async () => {
    const store = storeAt(home)
    const { metadata } = await commit(store, one)
    const before = await store.load('demo')
    const urls = { infoUrl: `https://gateway.kyma.local/${'x'.repeat(1024 * 1024)}` }
    const serverCa = two.ca.repeat(1000)
    for (const larger of [{ urls }, { route: { ...metadata.route, serverCa } }]) {
      const amended = store.locked('demo', (change) => change.amend((present) => ({ ...present, ...larger })))
      await expect(amended).rejects.toThrow(IdentityUnusableError)
      await expect(
        store.locked('demo', (change) => change.commit({ ...metadata, ...larger }, two, 'keep')),
      ).rejects.toThrow(/\/(identity\.json|server-ca\.pem) would be too large/)
    }
    expect(await store.load('demo')).toEqual(before)
    expect(await readdir(join(home, 'demo', 'versions'))).toHaveLength(1)
  })

  test('gets new metadata and another CA in one step, and what a rollback restores stays the same', async () => {
    const store = storeAt(home)
    await commit(store, one)
    const { metadata: before } = await commit(store, two)
    const route = { ...before.route, nodePort: 31000, serverCa: three.ca }
    const amend = (change: (metadata: Metadata) => Metadata): Promise<unknown> =>
      store.locked('demo', (held) => held.amend(change))
    await amend((metadata) => ({ ...metadata, route, urls: {} }))
    expect((await store.load('demo')).metadata).toEqual({ ...before, route, urls: {} })
    expect((await store.load('demo')).material).toEqual(two)
    const { nodePort, resolve, proxy } = route
    expect((await store.summaries())[0]?.metadata?.route).toEqual({ nodePort, resolve, proxy })
    expect(await readFile(current('server-ca.pem'), 'utf8')).toBe(three.ca)
    await amend((metadata) => ({ ...metadata, route: { ...route, serverCa: null } }))
    expect(await readdir(current())).not.toContain('server-ca.pem')
    expect(await readdir(join(home, 'demo', 'versions'))).toHaveLength(2)
    expect(await modes(home)).toEqual(['file 600', 'folder 700'])
    expect((await rollback(store)).material).toEqual(one)
    expect((await rollback(store)).material).toEqual(two)
  })

  test('keeps its CA and its other metadata when a new pair of them cannot be pointed to', async () => {
    const store = storeAt(home)
    const stored = await commit(store, one)
    await expect(
      store.locked('demo', async (change) => {
        // The lock that is lost here is found missing right before the point of no return.
        await rm(join(home, '.locks', 'demo'), { recursive: true })
        return change.amend((metadata) => ({ ...metadata, urls: {}, route: { ...metadata.route, serverCa: two.ca } }))
      }),
    ).rejects.toBeInstanceOf(LockHeldError)
    expect((await store.load('demo')).metadata).toEqual(stored.metadata)
    expect(await readdir(join(home, 'demo', 'versions'))).toHaveLength(1)
  })

  test('is read whole while another process replaces one version after another and deletes it', async () => {
    const store = storeAt(home)
    await commit(store, one)
    const replace = `
      const { cpSync, readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs')
      const home = process.argv[1]
      const pointer = home + '/pointer.json'
      for (let count = 0; ; count++) {
        const { current } = JSON.parse(readFileSync(pointer, 'utf8'))
        const next = 'v20261124000000-' + String(count).padStart(8, '0')
        cpSync(home + '/versions/' + current, home + '/versions/' + next, { recursive: true })
        writeFileSync(pointer + '.new', JSON.stringify({ current: next, previous: null, retired: [] }), { mode: 0o600 })
        renameSync(pointer + '.new', pointer)
        rmSync(home + '/versions/' + current, { recursive: true })
        if (count === 0) process.stdout.write('begun')
      }`
    const child = spawn(process.execPath, ['-e', replace, join(home, 'demo')], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(child.stdout, 'data')
      const end = Date.now() + 1000
      for (let count = 0; count < 50 || Date.now() < end; count++) {
        expect((await store.load('demo')).metadata.route.serverCa).toBe(one.ca)
        for (let look = 0; look < 30; look++) {
          const [summary] = await store.summaries()
          expect(summary?.problem).toBeUndefined()
        }
      }
    } finally {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
  })

  test('is listed by name; a folder with only a pending pairing, or with other files, is not listed', async () => {
    const store = storeAt(home)
    expect(await names(store)).toEqual([])
    await commit(store, one, 'shop')
    await commit(store, two, 'erp')
    await store.locked('waiting', (change) => change.begin(pendingOf('waiting')))
    await mkdir(join(home, 'empty'))
    await mkdir(join(home, '.hidden'))
    await writeFile(join(home, 'file'), '')
    expect(await names(store)).toEqual(['erp', 'shop'])
    expect(await store.listPending()).toEqual(['waiting'])
    expect([await store.has('shop'), await store.has('waiting'), await store.has('none')]).toEqual([true, false, false])
    await expect(store.load('waiting')).rejects.toBeInstanceOf(NoIdentityError)
  })

  test.each(['', '.', '..', '../x', 'a/b', '-x', '.x', 'a b', 'ä', 'a\0', 'x'.repeat(101)])(
    'cannot be named %j',
    async (name) => {
      const store = storeAt(home)
      for (const attempt of [
        store.has(name),
        store.load(name),
        store.locked(name, () => Promise.resolve()),
        store.pending(name),
      ]) {
        await expect(attempt).rejects.toBeInstanceOf(ProfileNameError)
      }
      await expect(stat(home)).rejects.toThrow('ENOENT')
    },
  )
})

describe('an identity that cannot be used', () => {
  const version = async (): Promise<string> => join(home, 'demo', await readlink(current()))
  const edit = async (change: (fields: Record<string, unknown>) => void): Promise<void> => {
    const file = current('identity.json')
    const fields = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
    change(fields)
    await writeFile(file, JSON.stringify(fields))
  }

  const cases: [string, () => Promise<void>, RegExp][] = [
    [
      'of a newer format',
      () => edit((fields) => (fields['formatVersion'] = 2)),
      /has format 2, and this version reads formats up to 1/,
    ],
    ['without a format', () => edit((fields) => delete fields['formatVersion']), /damaged: formatVersion/],
    ['without a field', () => edit((fields) => delete fields['connectorHost']), /damaged: connectorHost/],
    ['with a port that is out of range', () => edit((fields) => (fields['nodePort'] = 0)), /damaged: nodePort/],
    [
      'with a URL that is not https',
      () => edit((fields) => (fields['urls'] = { infoUrl: 'http://x' })),
      /damaged: urls.infoUrl/,
    ],
    ['with a date that cannot be read', () => edit((fields) => (fields['notAfter'] = 'soon')), /damaged: notAfter/],
    ['with a rule that cannot be read', () => edit((fields) => (fields['resolve'] = ['x'])), /damaged: resolve/],
    ['with metadata that is not JSON', () => writeFile(current('identity.json'), '{'), /damaged: JSON/],
    [
      'with an endless file',
      () => writeFile(current('identity.json'), Buffer.alloc(2 * 1024 * 1024, 0x20)),
      /too large/,
    ],
    ['with the key of another', () => writeFile(current('key.pem'), two.key), /its key does not match its certificate/],
    ['with an empty key', () => writeFile(current('key.pem'), ''), /its key does not match its certificate/],
    ['without a file', () => rm(current('chain.crt')), /chain.crt is missing/],
    ['whose version is gone', async () => rm(await version(), { recursive: true }), /the folder is missing/],
    [
      'with a pointer that is damaged',
      () => writeFile(join(home, 'demo', 'pointer.json'), 'x'),
      /pointer.json is damaged/,
    ],
    [
      'with a pointer that leads elsewhere',
      () => writeFile(join(home, 'demo', 'pointer.json'), '{"current":"../../x"}'),
      /pointer.json is damaged/,
    ],
  ]
  test.each(cases)('%s is refused, and named', async (_, damage, why) => {
    const store = storeAt(home)
    await commit(store, one)
    await damage()
    const failure = await store.load('demo').catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(IdentityUnusableError)
    expect(String(failure)).toMatch(why)
    expect(failure instanceof IdentityUnusableError ? failure.hints : []).not.toEqual([])
  })

  test.each(['current/identity.json', 'current/key.pem', 'pointer.json'])(
    'can be replaced by another: %s damaged',
    async (file) => {
      const store = storeAt(home)
      await commit(store, one)
      await writeFile(join(home, 'demo', file), '{')
      await commit(store, two)
      expect((await store.load('demo')).material).toEqual(two)
    },
  )
})

describe('what another user, or another program, may have put in the place of ours', () => {
  const at = (...path: string[]): string => join(home, 'demo', ...path)
  const replace = async (path: string, by: (path: string) => Promise<unknown>): Promise<void> => {
    await rm(path, { recursive: true })
    await by(path)
  }
  const places: [string, () => string][] = [
    ['pointer.json', () => at('pointer.json')],
    ['identity.json', () => current('identity.json')],
    ['key.pem', () => current('key.pem')],
  ]
  const others: [string, (path: string) => Promise<unknown>][] = [
    ['a FIFO', (path) => run('mkfifo', [path])],
    ['a link', (path) => symlink(join(folder.path, 'one.key'), path)],
    ['a folder', (path) => mkdir(path)],
  ]
  test.each(places.flatMap(([name, place]) => others.map(([kind, by]) => [kind, name, place, by] as const)))(
    '%s as %s is refused at once',
    async (_, __, place, by) => {
      const store = storeAt(home)
      await commit(store, one)
      await replace(place(), by)
      const failure = await store.load('demo').catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(HomeUnsafeError)
      expect(String(failure)).toContain('is not a plain file')
    },
  )

  test.each(['current', 'pending'])('a key in %s that others may read is refused, with the command', async (where) => {
    const store = storeAt(home)
    await commit(store, one)
    await store.locked('demo', (change) => change.begin(pendingOf('demo')))
    await chmod(at(where, 'key.pem'), 0o640)
    const failure = await (where === 'current' ? store.load('demo') : store.pending('demo')).catch(
      (error: unknown) => error,
    )
    expect(failure).toBeInstanceOf(HomeUnsafeError)
    expect(String(failure)).toMatch(/too open: mode 0640/)
    expect(failure instanceof HomeUnsafeError ? failure.hints : []).toEqual([expect.stringMatching(/^run: chmod 600 /)])
  })

  test('versions that others may write to are refused, with the command, by readers and writers', async () => {
    const store = storeAt(home)
    await commit(store, one)
    await chmod(at('versions'), 0o770)
    for (const attempt of [store.load('demo'), commit(store, two)]) {
      const failure = await attempt.catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(HomeUnsafeError)
      expect(failure instanceof HomeUnsafeError ? failure.hints : []).toEqual([`run: chmod go-w ${at('versions')}`])
    }
  })

  test('a device and a file of another user are refused', async () => {
    await expect(readOwnFile('/dev/null', 0)).rejects.toThrow(/is not a plain file/)
    const file = join(folder.path, `foreign-${count}`)
    await writeFile(file, 'x')
    const isRoot = process.geteuid?.() === 0
    // What belongs to root is never foreign.
    if (isRoot) await chown(file, 65534, 65534)
    await expect(readOwnFile(file, isRoot ? 0 : 123456)).rejects.toThrow(/belongs to another user/)
  })

  test('a copy in current whose key is nowhere else is kept by every commit', async () => {
    await mkdir(at(), { recursive: true, mode: 0o700 })
    await chmod(home, 0o700)
    await mkdir(at('current'), { mode: 0o700 })
    await writeFile(at('current', 'client.crt'), three.leaf)
    await writeFile(at('current', 'key.pem'), three.key, { mode: 0o600 })
    const store = storeAt(home)
    await expect(store.load('demo')).rejects.toThrow(/looks like a restored copy/)
    await commit(store, one)
    await commit(store, two)
    const kept = (await readdir(at())).filter((name) => name.startsWith('current.kept-'))
    expect(await Promise.all(kept.map((name) => readFile(at(name, 'key.pem'), 'utf8')))).toEqual([three.key])
  })
})

describe('a pending pairing', () => {
  const begin = async (store: FolderStore, profile = 'demo'): Promise<void> => {
    await store.locked(profile, (change) => change.begin(pendingOf(profile)))
  }

  test('comes back as it was: key, csrUrl to the letter, subject', async () => {
    await begin(storeAt(home))
    const pending = await storeAt(home).pending('demo')
    expect(pending?.csrUrl.href).toBe(pendingOf('demo').csrUrl.href)
    expect(pending && publicKeyDer(pending.key)).toEqual(publicKeyDer(pendingOf('demo').key))
    expect({ ...pending, key: 0 }).toEqual({ ...pendingOf('demo'), key: 0 })
  })

  test('is replaced by the next, ended by a commit, and can be forgotten', async () => {
    const store = storeAt(home)
    await begin(store)
    await begin(store)
    await store.locked('demo', (change) => change.discard())
    expect(await store.pending('demo')).toBeUndefined()
    await store.locked('demo', (change) => change.discard())
    await commit(store, one)
    expect(await store.pending('demo')).toBeUndefined()
    expect(await readdir(join(home, 'demo'))).not.toContain('pending')
  })

  test('leaves no folder behind when it fails', async () => {
    const store = storeAt(home)
    await store.locked('demo', async (change) => {
      await change.begin(pendingOf('demo'))
      await change.discard()
    })
    expect(await readdir(home)).toEqual(['.locks'])
  })

  test('is removed by the next command once its token is dead, with an identity beside it and without', async () => {
    const store = storeAt(home)
    await commit(store, one)
    await begin(store)
    await begin(store, 'other')
    await open(store)
    expect(await names(store)).toEqual(['demo'])
    expect(await store.listPending()).toEqual(['demo', 'other'])
    const later = storeAt(home, { now: () => new Date(Date.now() + 5 * 60_000 + 1000) })
    await open(later)
    expect(await store.listPending()).toEqual(['other'])
    expect(await names(later)).toEqual(['demo'])
    await later.mend('other')
    expect(await readdir(home)).toEqual(['.locks', 'demo'])
  })

  test('is left alone while another process works on it', async () => {
    const store = storeAt(home)
    await commit(store, one)
    await begin(store)
    await store.locked('demo', async () => {
      const later = storeAt(home, { now: () => new Date(Date.now() + 6 * 60_000) })
      expect((await open(later)).material).toEqual(one)
      expect(await store.listPending()).toEqual(['demo'])
    })
  })

  test('that is damaged is reported', async () => {
    const store = storeAt(home)
    await begin(store)
    await writeFile(join(home, 'demo', 'pending', 'pairing.json'), '{"formatVersion":1,"csrUrl":"x"}')
    await expect(store.pending('demo')).rejects.toThrow(/pairing.json is damaged: csrUrl/)
    await begin(store)
    await writeFile(join(home, 'demo', 'pending', 'key.pem'), 'x')
    const failure = await store.pending('demo').catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(IdentityUnusableError)
    expect(String(failure)).toMatch(/key.pem is damaged/)
  })
})

describe('what a crash leaves', () => {
  test('a current that lags is repaired by the next command', async () => {
    const store = storeAt(home)
    await commit(store, one)
    const lagging = await readlink(current())
    await commit(store, two)
    await rm(current())
    await symlink(lagging, current())
    expect(await keyOf()).toBe(one.key)
    expect((await open(store)).material).toEqual(two)
    expect(await keyOf()).toBe(two.key)
    await rm(current())
    await open(store)
    expect(await keyOf()).toBe(two.key)
  })

  test('a removed identity never comes back, not even for a moment', async () => {
    const store = storeAt(home)
    await commit(store, one)
    const written: string[] = []
    const counting = storeAt(home, {
      randomHex: (bytes) => {
        written.push(String(bytes))
        return randomBytes(bytes).toString('hex')
      },
    })
    await counting.locked('demo', async (change) => {
      written.length = 0
      expect(await change.remove()).toEqual([])
    })
    // One name for the pending folder that is moved aside, and none for a new pointer.
    expect(written).toHaveLength(1)
  })

  test('a file that somebody put in the place of current is not replaced by a repair, and kept by the next commit', async () => {
    const store = storeAt(home)
    await commit(store, one)
    await rm(current())
    await writeFile(current(), 'not ours')
    await open(store)
    expect(await readFile(current(), 'utf8')).toBe('not ours')
    await commit(store, two)
    const kept = (await readdir(join(home, 'demo'))).filter((name) => name.startsWith('current.kept-'))
    expect(await readFile(join(home, 'demo', kept[0] ?? ''), 'utf8')).toBe('not ours')
    expect(await keyOf()).toBe(two.key)
  })

  test('a copy in the place of current that has the only key is kept by the next commit', async () => {
    const store = storeAt(home)
    await commit(store, one)
    const version = join(home, 'demo', await readlink(current()))
    await rm(current())
    await cp(version, current(), { recursive: true })
    await rm(join(version, 'key.pem'))
    await commit(store, two)
    const kept = (await readdir(join(home, 'demo'))).filter((name) => name.startsWith('current.kept-'))
    expect(await readFile(join(home, 'demo', kept[0] ?? '', 'key.pem'), 'utf8')).toBe(one.key)
  })

  test('the next commit removes unfinished files; a version that no pointer names stays, because it may hold the only key', async () => {
    const store = storeAt(home)
    await commit(store, one)
    const at = join(home, 'demo')
    const left = [
      'versions/new-v20260101000000-00000000',
      'versions/v20250101000000-00000000',
      'pending.0123abcd',
      'current.stale-0123abcd',
    ]
    for (const name of left) await mkdir(join(at, name))
    await writeFile(join(at, 'pointer.json.0123abcd'), '')
    await writeFile(join(at, 'notes.txt'), 'not ours')
    await commit(store, two)
    expect((await readdir(at)).sort()).toEqual(['current', 'notes.txt', 'pointer.json', 'versions'])
    expect(await readdir(join(at, 'versions'))).toHaveLength(3)
    expect(await readdir(join(at, 'versions'))).toContain('v20250101000000-00000000')
  })
})

describe('where there are no links', () => {
  const noLinks: Partial<FolderStoreDeps> = {
    makeLink: () => Promise.reject(Object.assign(new Error('no links'), { code: 'EPERM' })),
  }

  test('current is a copy, as private as the truth, replaced by each commit and repaired by the next command', async () => {
    const store = storeAt(home, noLinks)
    await commit(store, one)
    expect((await lstat(current())).isDirectory()).toBe(true)
    expect(await keyOf()).toBe(one.key)
    await commit(store, two)
    expect(await keyOf()).toBe(two.key)
    expect(await modes(home)).toEqual(['file 600', 'folder 700'])
    await rm(current(), { recursive: true })
    expect((await open(store)).material).toEqual(two)
    expect(await keyOf()).toBe(two.key)
    await rollback(store)
    expect(await keyOf()).toBe(one.key)
    expect((await readdir(join(home, 'demo'))).sort()).toEqual(['current', 'pointer.json', 'versions'])
  })

  test('a copy gives way to a link where there are links again', async () => {
    await commit(storeAt(home, noLinks), one)
    await commit(storeAt(home), two)
    expect((await lstat(current())).isSymbolicLink()).toBe(true)
    expect(await keyOf()).toBe(two.key)
  })

  test('a copy learns what the endpoints are', async () => {
    const store = storeAt(home, noLinks)
    await commit(store, one)
    await store.locked('demo', (change) => change.amend((metadata) => ({ ...metadata, urls: {} })))
    expect((await store.load('demo')).metadata.urls).toEqual({})
  })
})

describe('a folder of the home', () => {
  test('that others can write to is refused, also when it is a profile of it', async () => {
    const store = storeAt(home)
    await commit(store, one)
    await chmod(join(home, 'demo'), 0o770)
    await expect(store.load('demo')).rejects.toThrow(/are too open: mode 0770 lets other users write/)
    await expect(store.locked('demo', () => Promise.resolve())).rejects.toThrow(/too open/)
    await chmod(join(home, 'demo'), 0o700)
    await chmod(home, 0o702)
    await expect(store.summaries()).rejects.toThrow(/are too open: mode 0702 lets other users write/)
    await expect(store.ready()).rejects.toThrow(/too open/)
  })

  test('that is readable by others is taken as it is: the files in it are not', async () => {
    await mkdir(home, { mode: 0o755 })
    await chmod(home, 0o755)
    await commit(storeAt(home), one)
    expect((await stat(current('key.pem'))).mode & 0o777).toBe(0o600)
  })

  test('that belongs to another user is refused', async () => {
    await mkdir(home, { mode: 0o700 })
    const stranger = storeAt(home, { userId: 123456 })
    await expect(stranger.summaries()).rejects.toThrow(
      /belongs to another user \(uid \d+; this process runs as 123456\)/,
    )
    await expect(stranger.ready()).rejects.toThrow(/belongs to another user/)
  })

  test('that is a file, or a broken link, is reported', async () => {
    await writeFile(home, '')
    await expect(storeAt(home).summaries()).rejects.toBeInstanceOf(FilesError)
    await rm(home)
    await symlink(join(folder.path, 'nowhere'), home)
    await expect(storeAt(home).summaries()).rejects.toBeInstanceOf(FilesError)
  })

  test('may be a link to one of ours', async () => {
    const real = join(folder.path, `real-${count}`)
    await mkdir(real, { mode: 0o700 })
    await symlink(real, home)
    await commit(storeAt(home), one)
    expect(await readdir(real)).toEqual(['.locks', 'demo'])
  })
})

test('key and certificate of every material here belong together, as the tests above require', () => {
  for (const { key, leaf } of [one, two, three]) {
    expect(new X509Certificate(leaf).checkPrivateKey(createPrivateKey(key))).toBe(true)
  }
})
