import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, startFakeKyma } from '../support/fake-kyma.js'
import { Durability } from '../support/faults/durability.js'
import { buildFaultLibrary, type Call, faultEnvironment, type FaultKind, readCalls } from '../support/faults/library.js'
import { jsonError, kyconnect, type Run } from '../support/kyconnect.js'

/**
 * Each call on the file system that the commands that change an identity make fails once, or finds the disk full, or is the one that the process dies
 * before. Whatever happens, the identity that was there is kept or the new one is whole, and the next command can use it.
 * KYCONNECT_FAULTS=all tries every call, in each of the three ways; otherwise it is a part of them.
 */
const all = process.env['KYCONNECT_FAULTS'] === 'all'

type Command = 'pair' | 'pair --force' | 'pair --resume' | 'renew' | 'rollback' | 'info --save' | 'revoke'
const commands: readonly Command[] = [
  'pair',
  'pair --force',
  'pair --resume',
  'renew',
  'rollback',
  'info --save',
  'revoke',
]
const kinds: readonly FaultKind[] = ['EIO', 'ENOSPC', 'KILL']
/** Without KYCONNECT_FAULTS=all: of so many calls one is tried, in each way another one. */
const stride = 15

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let kyma: FakeKyma
let library: string
/** Keys in PEM, as they are stored: of the identity that is there before, and of the one that comes. */
let oldKey: string
let newKey: string
/** The CA of the gateway, and a file that holds another one too. */
let oldCa: string
let newCa: string
/** What each command makes when nothing fails. */
const calls = {} as Record<Command, Call[]>

beforeAll(async () => {
  ;[folder, kyma] = await Promise.all([temporaryFolder('faults'), startFakeKyma()])
  library = await buildFaultLibrary(folder.path)
  // The same CSR gets the same certificate, which saves starting openssl.
  const answers = new Map<string, Promise<Record<string, string>>>()
  kyma.faults.csr = async (_, response, body) => {
    const answer = answers.get(body) ?? kyma.sign(body)
    answers.set(body, answer)
    response.writeHead(201, { 'content-type': 'application/json;charset=UTF-8' })
    response.end(JSON.stringify(await answer))
  }
  oldCa = await readFile(kyma.serverAuthority.certificateFile, 'utf8')
  newCa = oldCa + (await readFile(kyma.clientAuthority.certificateFile, 'utf8'))
  await writeFile(newCaFile(), newCa)
  ;[oldKey, newKey] = await Promise.all([makeKey('old'), makeKey('new')])

  await mkdir(template('pair'))
  calls.pair = await dryRun('pair')
  await succeed(pairWith('old'), template('pair --force'))
  calls['pair --force'] = await dryRun('pair --force')
  await succeed(pairWith('old'), template('rollback'))
  await succeed([...pairWith('new'), '--force'], template('rollback'))
  calls.rollback = await dryRun('rollback')
  for (const command of ['renew', 'info --save', 'revoke'] as const) {
    await cp(template('pair --force'), template(command), { recursive: true, verbatimSymlinks: true })
    calls[command] = await dryRun(command)
  }
  // It died when the certificate had come and nothing of it was stored.
  await cp(template('pair --force'), template('pair --resume'), { recursive: true, verbatimSymlinks: true })
  const died = numberOf(calls['pair --force'], ({ name, path }) => name === 'unlink' && path.endsWith('/reserved'))
  const { signal } = await runIn(template('pair --resume'), 'pair --force', { at: { call: died, kind: 'KILL' } })
  expect(signal).toBe('SIGKILL')
  calls['pair --resume'] = await dryRun('pair --resume')
})
afterAll(async () => {
  await kyma.stop()
  await folder.remove()
})

const newCaFile = (): string => join(folder.path, 'new-ca.pem')
const newRule = (): string => `gateway.kyma.local:${kyma.gatewayPort}:127.0.0.1`
const keyFile = (name: string): string => join(folder.path, `${name}.pem`)

async function makeKey(name: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  await writeFile(keyFile(name), pem, { mode: 0o600 })
  return pem
}

/** The folder that holds the home before a command: the home itself is not there for the first pairing. */
function template(command: Command): string {
  return join(folder.path, `template${command.replace(/\W+/g, '-')}`)
}

function pairWith(key: string): string[] {
  return ['pair', '--json', '--app', 'demo', '--key-file', keyFile(key), '--url', '-']
}

function argsOf(command: Command): string[] {
  switch (command) {
    case 'pair':
      return pairWith('new')
    case 'pair --force':
      return [...pairWith('new'), '--force']
    case 'pair --resume':
      return ['pair', '--json', '--resume', '--force', '--profile', 'demo']
    case 'renew':
      return ['renew', '--json', 'demo']
    case 'rollback':
      return ['rollback', '--json', 'demo']
    case 'info --save':
      return ['info', '--save', '--json', 'demo', '--resolve', newRule(), '--ca-file', newCaFile()]
    case 'revoke':
      return ['revoke', '--yes', '--json', 'demo']
  }
}

/** Runs a command on the home in a folder. A process that hangs is killed, which no test expects unless it asked for that. */
function runArgs(args: readonly string[], at: string, more: Readonly<Record<string, string>> = {}): Promise<Run> {
  return kyconnect(args, {
    env: {
      ...kyma.env,
      KYCONNECT_HOME: join(at, 'home'),
      XDG_CACHE_HOME: join(folder.path, 'cache'),
      ...more,
    },
    input: kyma.tokenUrl,
    limit: 60_000,
  })
}

function runIn(at: string, command: Command, fault: Parameters<typeof faultEnvironment>[2]): Promise<Run> {
  return runArgs(argsOf(command), at, faultEnvironment(library, at, fault))
}

async function succeed(args: readonly string[], at: string): Promise<void> {
  const { code, stderr } = await runArgs(args, at)
  expect(code, `${args.join(' ')}: ${stderr}`).toBe(0)
}

/** A folder with a copy of what a command finds. */
async function prepare(command: Command, name: string): Promise<string> {
  const at = join(folder.path, name)
  await cp(template(command), at, { recursive: true, verbatimSymlinks: true })
  return at
}

/** Runs a command in which nothing fails. @returns the calls that it makes */
async function dryRun(command: Command): Promise<Call[]> {
  const at = await prepare(command, `dry-${command.replace(/\W+/g, '-')}`)
  const log = join(folder.path, `calls-${command.replace(/\W+/g, '-')}`)
  const { code, stderr } = await runIn(at, command, { log })
  expect(code, `${command}: ${stderr}`).toBe(0)
  const made = await readCalls(log)
  return made.map((call) => ({ ...call, path: relative(call.path, at), to: call.to && relative(call.to, at) }))
}

function relative(path: string, at: string): string {
  return path === at ? '.' : path.slice(at.length + 1)
}

function numberOf(made: readonly Call[], matches: (call: Call) => boolean): number {
  const found = made.find(matches)
  if (found === undefined) throw new Error('no such call was made')
  return found.number
}

/** What a home holds: no identity, the one before a command, or the one that the command makes of it. */
type Found = 'none' | 'old' | 'new'

/** What the next command finds, with nothing but what is stored. Fails unless that command works, or says that there is no identity. */
async function nextCommand(command: Command, at: string): Promise<Found> {
  const nothingGiven = Object.fromEntries(Object.keys(kyma.env).map((name) => [name, '']))
  const { code, stdout, stderr } = await runArgs(['info', '--json', '--profile', 'demo'], at, nothingGiven)
  if (code === 5 && jsonError({ code, stdout, stderr, signal: null }).code === 'ERR_NO_IDENTITY') return 'none'
  expect(code, stderr).toBe(0)
  const { certificate } = JSON.parse(stdout) as { certificate: { fingerprint: string } }
  const current = join(at, 'home', 'demo', 'current')
  const [key, leaf] = await Promise.all(['key.pem', 'client.crt'].map((name) => readFile(join(current, name), 'utf8')))
  // The first command has mended what other programs read.
  const stored = new X509Certificate(leaf ?? '')
  expect(stored.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(certificate.fingerprint)
  expect(stored.checkPrivateKey(createPrivateKey(key ?? ''))).toBe(true)
  if (command === 'info --save' || command === 'revoke') {
    expect(key).toBe(oldKey)
    return command === 'revoke' ? markIn(current) : routeIn(current)
  }
  // A renewal generates its key.
  if (command !== 'renew') expect([oldKey, newKey]).toContain(key)
  return key === oldKey ? 'old' : 'new'
}

async function metadataIn(current: string): Promise<{ revokedAt: string | null; resolve: readonly string[] }> {
  return JSON.parse(await readFile(join(current, 'identity.json'), 'utf8')) as Awaited<ReturnType<typeof metadataIn>>
}

async function markIn(current: string): Promise<Found> {
  return (await metadataIn(current)).revokedAt === null ? 'old' : 'new'
}

/** Which route is stored. Fails unless the resolve rule and the CA are both the old ones or both the new ones. */
async function routeIn(current: string): Promise<Found> {
  const { resolve } = await metadataIn(current)
  const route = [resolve.join(), await readFile(join(current, 'server-ca.pem'), 'utf8')]
  const [before, after] = [
    [kyma.env['KYCONNECT_RESOLVE'], oldCa],
    [newRule(), newCa],
  ]
  expect([before, after]).toContainEqual(route)
  return route[0] === newRule() ? 'new' : 'old'
}

async function storedKeys(at: string): Promise<string[]> {
  const versions = join(at, 'home', 'demo', 'versions')
  const names = await readdir(versions).catch((): string[] => [])
  return Promise.all(names.map((name) => readFile(join(versions, name, 'key.pem'), 'utf8').catch(() => '')))
}

const identityBefore: Readonly<Record<Command, Found>> = {
  pair: 'none',
  'pair --force': 'old',
  'pair --resume': 'old',
  renew: 'old',
  rollback: 'new',
  'info --save': 'old',
  revoke: 'old',
}
const identityAfter: Readonly<Record<Command, Found>> = {
  pair: 'new',
  'pair --force': 'new',
  'pair --resume': 'new',
  renew: 'new',
  rollback: 'old',
  'info --save': 'new',
  revoke: 'new',
}

/** Tries one fault. @returns which identity there is afterwards */
async function tryFault(command: Command, call: number, kind: FaultKind): Promise<Found> {
  const at = await prepare(command, `case-${command.replace(/\W+/g, '-')}-${call}-${kind}`)
  const run = await runIn(at, command, { at: { call, kind } })
  const { code, signal } = run
  if (kind !== 'KILL') expect(signal, 'it ends').toBeNull()
  if (signal !== null) expect(signal).toBe('SIGKILL')
  if (code !== null && code !== 0) {
    expect(jsonError(run).code, run.stderr).toBe('ERR_FILES')
  }

  const identity = await nextCommand(command, at)
  expect([identityBefore[command], identityAfter[command]]).toContain(identity)
  if (code === 0) expect(identity, 'what was reported').toBe(identityAfter[command])
  const keys = await storedKeys(at)
  if (command !== 'pair') expect(keys, 'the key of the identity that was there').toContain(oldKey)
  if (command === 'rollback') expect(keys, 'the key of the identity that was there').toContain(newKey)

  if (identity === 'none') await succeed(pairWith('new'), at)
  // Nothing is in the way of what comes next.
  else await succeed([...pairWith('new'), '--force', '--no-verify'], at)
  expect((await readdir(join(at, 'home', 'demo'))).filter((name) => name !== 'versions').sort()).toEqual([
    'current',
    'pointer.json',
  ])
  await rm(at, { recursive: true })
  return identity
}

interface Case {
  readonly call: number
  readonly kind: FaultKind
}

const pointerFile = 'home/demo/pointer.json'
const isPointing = ({ name, to }: Call): boolean => name === 'rename' && to === pointerFile

/** Whether a call is the instant at which what is stored changes. */
function isCommit(command: Command, call: Call): boolean {
  if (command !== 'revoke') return isPointing(call)
  return call.name === 'rename' && call.to?.endsWith('/identity.json') === true
}

/** The cases of a command: all, or those about the instant that counts and a part of the others. */
function casesOf(command: Command): Case[] {
  const made = calls[command]
  const committed = numberOf(made, (call) => isCommit(command, call))
  return kinds.flatMap((kind, index) =>
    made
      .filter(
        ({ number }) =>
          all || number % stride === (index * stride) / 3 || (number >= committed - 1 && number <= committed + 4),
      )
      .map(({ number }) => ({ call: number, kind })),
  )
}

/** Two at once: the machine may have no more. */
async function tryAll(command: Command): Promise<{ count: number; faults: string[]; identities: Set<string> }> {
  const cases = casesOf(command)
  const left = [...cases]
  const faults: string[] = []
  const identities = new Set<string>()
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const { call, kind } = next
      const made = calls[command][call - 1]
      await tryFault(command, call, kind).then(
        (identity) => identities.add(identity),
        (error: unknown) => {
          const why = error instanceof Error ? error.message.slice(0, 600) : String(error)
          faults.push(`${kind} at call ${call} (${made?.name ?? ''} ${made?.path ?? ''}): ${why}`)
        },
      )
    }
  }
  await Promise.all([work(), work()])
  return { count: cases.length, faults, identities }
}

describe('whatever call on the file system fails, or is the last one before the process dies,', () => {
  test.each(commands)('"%s" leaves the old identity or the new one', { timeout: 1_800_000 }, async (command) => {
    const { count, faults, identities } = await tryAll(command)
    expect(faults, `${faults.length} of ${count}`).toEqual([])
    // Both sides of the instant at which the identity changes were tried.
    expect([...identities].sort()).toEqual([identityBefore[command], identityAfter[command]].sort())
    if (all) process.stdout.write(`${command}: ${count} faults at ${calls[command].length} calls, no identity lost\n`)
  })
})

describe('a power failure takes nothing, because', () => {
  /** Looks at what could be lost right before each call, and at the end. */
  function watch(
    command: Command,
    look: (call: Call | undefined, durability: Durability, pointed: boolean) => void,
  ): void {
    const durability = new Durability()
    let pointed = false
    for (const call of calls[command]) {
      look(call, durability, pointed)
      durability.apply(call)
      pointed ||= isPointing(call)
    }
    look(undefined, durability, pointed)
  }

  test.each(['pair', 'pair --force'] as const)(
    '"%s" has the key of a pending pairing on disk before the certificate is asked for',
    (command) => {
      let looked = 0
      watch(command, (call, durability) => {
        if (call?.name === 'rename' && call.to === 'home/demo/pending') {
          looked++
          expect(durability.unsafe(call.path).filter((lost) => lost !== `name ${call.path}`)).toEqual([])
        }
        if (call?.name === 'unlink' && call.path === 'home/demo/pending/reserved') {
          looked++
          expect(durability.unsafe('home/demo/pending')).toEqual([])
        }
      })
      expect(looked).toBe(2)
    },
  )

  // A revocation replaces the metadata, and points to nothing new.
  const pointing = commands.filter((command) => command !== 'revoke')

  test.each(pointing)('"%s" points to nothing that is not on disk', (command) => {
    let looked = 0
    watch(command, (call, durability) => {
      if (call === undefined || !isPointing(call)) return
      looked++
      expect(durability.unsafe('home/demo/versions')).toEqual([])
      expect(durability.unsafe(call.path).filter((lost) => lost !== `name ${call.path}`)).toEqual([])
    })
    // The version that is no longer needed is deleted, then forgotten.
    expect(looked).toBe(command === 'info --save' ? 2 : 1)
  })

  test.each(pointing)('"%s" removes nothing before the pointer to the new identity is on disk', (command) => {
    let removals = 0
    watch(command, (call, durability, pointed) => {
      const removes =
        call?.name === 'unlink' || call?.name === 'rmdir' || (call?.name === 'rename' && !isPointing(call))
      if (!removes || call.failed || !/^home\/demo\/(versions|pending)[/.]/.test(call.path)) return
      const replaces = call.to?.endsWith('/identity.json') === true
      if (!pointed || replaces) return
      removals++
      expect(durability.unsafe(pointerFile)).toEqual([])
    })
    // A renewal and a rollback keep both identities, and touch no pending pairing.
    if (command !== 'rollback' && command !== 'renew') expect(removals).toBeGreaterThan(0)
  })

  test.each(commands)('"%s" puts whole files in the place of others', (command) => {
    watch(command, (call, durability) => {
      if (call?.name !== 'rename' || call.failed || call.path.includes('/pending')) return
      expect(durability.unsafe(call.path).filter((lost) => lost.startsWith('content'))).toEqual([])
    })
  })

  test.each(commands)('"%s" ends when everything is on disk', (command) => {
    watch(command, (call, durability) => {
      if (call === undefined) expect(durability.unsafe('home/demo')).toEqual([])
    })
  })
})
