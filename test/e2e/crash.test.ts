import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, realpathSync } from 'node:fs'
import { cp, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { startFakeKyma } from '../support/fake-kyma.js'
import { kyconnect, program, root, type Run, start } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

/**
 * The program is killed, for real, right before each change it makes to the file system, one after the other. All the while,
 * and afterwards, `current` must hold a key and a certificate that belong together.
 */

let sandbox: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>
/** A home with one identity in it, to be copied. */
let paired: string

beforeAll(async () => {
  ;[sandbox, folder] = await Promise.all([startSandboxProcess(), temporaryFolder('crash')])
  paired = join(folder.path, 'paired')
  const first = await pair(paired, [])
  expect(first.code, first.stderr).toBe(0)
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})

const environment = (home: string): Record<string, string> => ({ ...sandbox.ready.env, KYCONNECT_HOME: home })

async function pair(home: string, args: readonly string[]): Promise<Run> {
  return kyconnect(['pair', '--json', '--url', '-', ...args], {
    env: environment(home),
    input: await sandbox.tokenUrl(),
  })
}

/** Looks into `current`. @returns the fingerprint, or what is wrong. The link is followed once, as a program that opens the folder does. */
function look(home: string): string {
  let at: string
  try {
    at = realpathSync(join(home, 'demo', 'current'))
  } catch {
    return 'none'
  }
  try {
    const certificate = new X509Certificate(readFileSync(join(at, 'client.crt')))
    const fits = certificate.checkPrivateKey(createPrivateKey(readFileSync(join(at, 'key.pem'))))
    return fits ? certificate.fingerprint256 : 'a key and a certificate that do not belong together'
  } catch (error) {
    return String(error)
  }
}

interface Death {
  readonly killed: boolean
  /** Everything that was seen in `current` meanwhile, in order, each change once. */
  readonly seen: readonly string[]
  readonly changes: number
  readonly stderr: string
}

/** Pairs, and is killed right before the n-th change; looks at `current` all the while. */
async function pairAndDieAt(n: number, home: string, args: readonly string[]): Promise<Death> {
  const log = join(folder.path, `changes-${n}-${args.length}`)
  const url = await sandbox.tokenUrl()
  const hook = join(root, 'test', 'support', 'die-at.cjs')
  const { end } = start(
    process.execPath,
    ['--require', hook, program, 'pair', '--json', '--no-verify', '--url', '-', ...args],
    {
      env: { ...environment(home), DIE_AT: String(n), DIE_LOG: log },
      input: url,
    },
  )
  const seen = [look(home)]
  const watch = setInterval(() => {
    const now = look(home)
    if (now !== seen.at(-1)) seen.push(now)
  }, 1)
  const run = await end
  clearInterval(watch)
  seen.push(look(home))
  const changes = Number(await readFile(log, 'utf8').catch(() => '0'))
  return { killed: run.signal === 'SIGKILL', seen, changes, stderr: run.stderr }
}

const fingerprint = /^[0-9A-F:]{95}$/

/** What a next command makes of it. */
async function mended(home: string): Promise<{ fingerprint: string; entries: string[] }> {
  const info = await kyconnect(['info', '--json'], { env: environment(home) })
  expect(info.code, info.stderr).toBe(0)
  const { certificate } = JSON.parse(info.stdout) as { certificate: { fingerprint: string } }
  return { fingerprint: certificate.fingerprint, entries: await readdir(join(home, 'demo')) }
}

describe('killed before any change to the file system,', () => {
  test(
    'a replacement leaves the old identity or the new one, never a mixture and never none',
    { timeout: 240_000 },
    async () => {
      const before = look(paired)
      let outcomes: string[] = []
      for (let n = 1; ; n++) {
        const home = join(folder.path, `force-${n}`)
        await cp(paired, home, { recursive: true, verbatimSymlinks: true })
        const { killed, seen, changes, stderr } = await pairAndDieAt(n, home, ['--force'])
        for (const sight of seen) expect(sight, `at change ${n}`).toMatch(fingerprint)
        expect(seen.filter((sight) => sight === before).length, 'a new identity does not go back').toBeLessThanOrEqual(
          2,
        )
        if (!killed) {
          expect(stderr).toBe('')
          expect(changes).toBe(n - 1)
          expect(seen.at(-1)).not.toBe(before)
          break
        }
        const after = await mended(home)
        const shown = look(home)
        expect(shown.replaceAll(':', '').toLowerCase()).toBe(after.fingerprint)
        expect(after.entries).toEqual(expect.arrayContaining(['current', 'pointer.json', 'versions']))
        outcomes = [...outcomes, shown === before ? 'old' : 'new']
      }
      // There is one instant: before it the old one, from it on the new one.
      expect(outcomes.join(' ')).toMatch(/^(old )+(new ?)+$/)
      expect(outcomes.length).toBeGreaterThan(20)
    },
  )

  test(
    'a first pairing leaves no identity or a whole one, and the profile can be paired again',
    { timeout: 240_000 },
    async () => {
      for (let n = 1; ; n += 4) {
        const home = join(folder.path, `first-${n}`)
        await mkdir(home, { mode: 0o700 })
        const { killed, seen } = await pairAndDieAt(n, home, ['--app', 'demo'])
        for (const sight of seen) expect(sight, `at change ${n}`).toMatch(/^(none|[0-9A-F:]{95})$/)
        if (!killed) break
        const again = await pair(home, ['--app', 'demo', '--force'])
        expect(again.code, again.stderr).toBe(0)
        expect(look(home)).toMatch(fingerprint)
        expect((await readdir(join(home, 'demo'))).sort().filter((name) => !name.startsWith('lock.'))).toEqual([
          'current',
          'pointer.json',
          'versions',
        ])
      }
    },
  )
})

test('the key is on disk before the CSR leaves: a pairing that is killed while the service signs can be resumed', async () => {
  const home = join(folder.path, 'key-first')
  const fake = await startFakeKyma()
  const options = { env: { ...fake.env, KYCONNECT_HOME: home }, input: fake.tokenUrl, limit: 100_000 }
  const running = start(process.execPath, [program, 'pair', '--app', 'demo', '--url', '-'], options)
  fake.faults.csr = () => running.child.kill('SIGKILL')
  expect((await running.end).signal).toBe('SIGKILL')
  const key = await readFile(join(home, 'demo', 'pending', 'key.pem'), 'utf8')
  fake.faults = {}
  const done = await kyconnect(['pair', '--resume', '--json'], options)
  await fake.stop()
  expect(done.code, done.stderr).toBe(0)
  expect(await readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8')).toBe(key)
})
