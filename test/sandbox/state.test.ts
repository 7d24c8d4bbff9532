import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { PortError, StateError, type Sandbox } from '../../src/sandbox/sandbox.js'
import { csrBody, opensslRequest, pair, subjectOf } from './identity.js'
import { startTestSandbox, wireTo } from './wire.js'

let program: string
let directory: string
let state: string
const open: Sandbox[] = []

beforeAll(async () => {
  program = mkdtempSync(join(tmpdir(), 'sandbox-program-'))
  const options = `{ apps: ['demo'], domain: 'kyma.local', connectorPort: 0, gatewayPort: 0, internalPort: 0,
    tokenTtlSeconds: 300, validitySeconds: 3600, stateDirectory: process.argv[2] }`
  const contents = `import { startSandbox } from './sandbox.js'
    startSandbox(${options}).then(({ ready }) => process.stdout.write(JSON.stringify(ready) + '\\n'))`
  await build({
    stdin: { contents, resolveDir: new URL('../../src/sandbox', import.meta.url).pathname, loader: 'ts' },
    bundle: true,
    platform: 'node',
    outfile: join(program, 'sandbox.cjs'),
    logLevel: 'error',
  })
})
afterAll(() => {
  rmSync(program, { recursive: true, force: true })
})

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sandbox-state-'))
  state = join(directory, 'state')
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((sandbox) => sandbox.close()))
  rmSync(directory, { recursive: true, force: true })
})

async function start(stateDirectory?: string): Promise<Sandbox> {
  const sandbox = await startTestSandbox(stateDirectory === undefined ? {} : { stateDirectory })
  open.push(sandbox)
  return sandbox
}

const DEFINITION = JSON.stringify({
  provider: 'p',
  name: 'n',
  description: 'd',
  events: { spec: { asyncapi: '1.0.0' } },
})

describe('a state folder', () => {
  test('keeps CA, services and revocations when the process is killed', async () => {
    const child = spawn(process.execPath, [join(program, 'sandbox.cjs'), state], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      const before = { ready: JSON.parse(await firstLine(child)) as Sandbox['ready'], close: () => Promise.resolve() }
      const [kept, revoked] = [
        await pair(before, 'demo'),
        await pair(before, 'demo', subjectOf('demo') + '/serialNumber=1'),
      ]
      const wire = wireTo(before)
      const created = await wire.gateway('/demo/v1/metadata/services', { ...kept, method: 'POST', body: DEFINITION })
      expect(created.status).toBe(200)
      await wire.gateway('/v1/applications/certificates/revocations', { ...revoked, method: 'POST' })
      await killed(child)

      const after = wireTo(await start(state))
      expect((await after.gateway('/demo/v1/metadata/services', kept)).body).toContain('"name":"n"')
      const renew = { method: 'POST', body: csrBody(opensslRequest(subjectOf('demo'))) }
      const renewals = '/v1/applications/certificates/renewals'
      expect((await after.gateway(renewals, { ...renew, ...kept })).status).toBe(201)
      expect((await after.gateway(renewals, { ...renew, ...revoked })).status).toBe(403)
    } finally {
      await killed(child)
    }
  })

  test('keeps the server CA, so that a client needs no other file', async () => {
    const first = await start(state)
    const certificate = readFileSync(first.ready.caFile, 'utf8')
    await first.close()
    expect(readFileSync((await start(state)).ready.caFile, 'utf8')).toBe(certificate)
  })

  test('keeps the services of an App that does not exist in the next run', async () => {
    const first = await start(state)
    const identity = await pair(first, 'demo')
    const post = { ...identity, method: 'POST', body: DEFINITION }
    await wireTo(first).gateway('/demo/v1/metadata/services', post)
    await first.close()
    const second = await startTestSandbox({ stateDirectory: state, apps: ['shop'] })
    open.push(second)
    const shop = await pair(second, 'shop')
    expect((await wireTo(second).gateway('/demo/v1/metadata/services', identity)).status).toBe(404)
    expect((await wireTo(second).gateway('/shop/v1/metadata/services', { ...post, ...shop })).status).toBe(200)
    await second.close()
    const third = wireTo(await start(state))
    expect((await third.gateway('/demo/v1/metadata/services', identity)).body).toContain('"connected-app":"demo"')
  })

  test('that was removed takes no more changes: each success that is answered has been stored', async () => {
    const sandbox = await start(state)
    const identity = await pair(sandbox, 'demo')
    const wire = wireTo(sandbox)
    const post = { ...identity, method: 'POST' }
    rmSync(state, { recursive: true })
    const created = await wire.gateway('/demo/v1/metadata/services', { ...post, body: DEFINITION })
    expect([created.status, created.body]).toEqual([500, '{"code":500,"error":"Internal error."}\n'])
    expect((await wire.gateway('/demo/v1/metadata/services', identity)).body).toBe('[]\n')
    expect((await wire.gateway('/v1/applications/certificates/revocations', post)).status).toBe(500)
    const renewal = { ...post, body: csrBody(opensslRequest(subjectOf('demo'))) }
    expect((await wire.gateway('/v1/applications/certificates/renewals', renewal)).status).toBe(201)
  })

  test('and its files are for the owner only', async () => {
    const sandbox = await start(state)
    await pair(sandbox, 'demo')
    expect(statSync(state).mode & 0o777).toBe(0o700)
    const files = readdirSync(state)
    expect(files).toEqual(expect.arrayContaining(['ca.crt', 'client-ca.pem', 'server-ca.pem']))
    for (const file of files) expect([file, statSync(join(state, file)).mode & 0o777]).toEqual([file, 0o600])
  })

  test.each(['client-ca.pem', 'server-ca.pem', 'services.json', 'revocations.json', 'kubernetes.json'])(
    'with a damaged %s is refused, and the file is named',
    async (file) => {
      mkdirSync(state)
      writeFileSync(join(state, file), '{"demo":')
      const failure = start(state)
      await expect(failure).rejects.toThrow(`${join(state, file)} is damaged`)
      await expect(failure).rejects.toBeInstanceOf(StateError)
    },
  )

  test('that cannot be created is refused in plain words', async () => {
    writeFileSync(state, '')
    await expect(start(join(state, 'below'))).rejects.toThrow(
      `the state folder ${join(state, 'below')} cannot be created: `,
    )
    chmodSync(state, 0o600)
    await expect(start(state)).rejects.toThrow(`the state folder is refused: ${state} is not a folder`)
  })
})

test('without a state folder nothing is left behind', async () => {
  const sandbox = await start()
  const { caFile } = sandbox.ready
  expect(statSync(join(caFile, '..')).mode & 0o777).toBe(0o700)
  await sandbox.close()
  expect(() => statSync(join(caFile, '..'))).toThrow('ENOENT')
})

test('after a failed start nothing is left behind, and no port stays open', async () => {
  const taken = await start()
  // Other tests start sandboxes at the same time: this one gets another temporary folder.
  const temporary = mkdtempSync(join(tmpdir(), 'failed-start-'))
  vi.stubEnv('TMPDIR', temporary)
  const failure = startTestSandbox({ internalPort: taken.ready.gatewayPort })
  await expect(failure).rejects.toThrow(
    `the internal port 127.0.0.1:${taken.ready.gatewayPort} cannot be opened: already in use`,
  )
  await expect(failure).rejects.toBeInstanceOf(PortError)
  expect(readdirSync(temporary)).toEqual([])
  vi.unstubAllEnvs()
  rmSync(temporary, { recursive: true })
})

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (said.includes('\n')) resolve(said)
    })
    child.on('exit', (code) => {
      reject(new Error(`the sandbox ended with ${String(code)}`))
    })
  })
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve()
      return
    }
    child.on('exit', () => {
      resolve()
    })
    child.kill('SIGKILL')
  })
}
