import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { kyconnect, program, root, run, type Run } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let sandbox: SandboxProcess
let home = ''

beforeAll(async () => {
  ;[folder, sandbox] = await Promise.all([temporaryFolder('library'), startSandboxProcess()])
  home = join(folder.path, 'home')
  const paired = await kyconnect(['pair', '--url', '-'], {
    env: { ...sandbox.ready.env, KYCONNECT_HOME: home },
    input: await sandbox.tokenUrl(),
  })
  expect(paired.code, paired.stderr).toBe(0)
  await mkdir(join(folder.path, 'node_modules'))
  await symlink(root, join(folder.path, 'node_modules', 'kyconnect'), 'dir')
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})

/** Runs a program that may import kyconnect, with the paired identity at hand. */
async function runProgram(source: string, env: Readonly<Record<string, string>> = {}): Promise<Run> {
  await writeFile(join(folder.path, 'program.mjs'), source)
  return run(process.execPath, ['program.mjs'], { cwd: folder.path, env: { KYCONNECT_HOME: home, ...env } })
}

test('the examples of docs/library.md run as they are, and print what it says', async () => {
  const text = await readFile(join(root, 'docs/library.md'), 'utf8')
  const examples = [...text.matchAll(/^```js\n([^]*?)^```\n[^]*?^```\n([^]*?)^```$/gm)]
  expect(examples).toHaveLength(4)
  for (const [, source = '', output = ''] of examples) {
    const done = await runProgram(source)
    // The date is that of the certificate.
    const shown = done.stdout.replace(/(?<=valid until )\S+Z/, '2027-02-23T21:23:34.000Z')
    expect([done.code, shown, done.stderr]).toEqual([0, output, ''])
  }
})

test('the examples of docs/library.md and README.md, and the types of callbacks, pass the strictest TypeScript', async () => {
  const texts = await Promise.all(['docs/library.md', 'README.md'].map((name) => readFile(join(root, name), 'utf8')))
  const examples = texts.flatMap((text) =>
    [...text.matchAll(/^```js\n([^]*?)^```$/gm)].map(([, source]) => source ?? ''),
  )
  const ofLibrary = examples.filter((source) => source.includes("from 'kyconnect'"))
  expect(ofLibrary.length).toBeGreaterThanOrEqual(5)
  const callbacks = `
    import { openIdentity } from 'kyconnect'
    const codes: string[] = []
    await using identity = await openIdentity({ onError: ({ code, hints }) => codes.push(code, ...hints) })
    codes.push(identity.certificate.fingerprint)
  `
  const files = [...ofLibrary, callbacks].map((source, index) => [`example-${index}.mts`, source] as const)
  for (const [name, source] of files) await writeFile(join(folder.path, name), source)
  await mkdir(join(folder.path, 'node_modules', '@types'))
  await symlink(join(root, 'node_modules/@types/node'), join(folder.path, 'node_modules/@types/node'), 'dir')
  const options = '--strict --noUncheckedIndexedAccess --exactOptionalPropertyTypes --noEmit --types node'.split(' ')
  const dialect = '--target es2022 --lib es2022,esnext.disposable --module nodenext'.split(' ')
  const tsc = join(root, 'node_modules', '.bin', 'tsc')
  const done = await run(tsc, [...options, ...dialect, ...files.map(([name]) => name)], { cwd: folder.path })
  expect([done.code, done.stdout], done.stderr).toEqual([0, ''])
})

test('await using closes the identity at the end of its block', async () => {
  const done = await runProgram(`
    import { openIdentity } from 'kyconnect'
    const identity = await openIdentity()
    await identity[Symbol.asyncDispose]()
    console.log(await identity.fetch('metadata').catch((error) => error.message))
  `)
  expect([done.code, done.stdout], done.stderr).toEqual([0, 'the identity has been closed\n'])
})

test('importing it, and calling with it, changes nothing in the program', async () => {
  const done = await runProgram(`
    const state = () => JSON.stringify({
      environment: process.env,
      listeners: process.eventNames().map((name) => [String(name), process.listenerCount(name)]),
      globals: Reflect.ownKeys(globalThis).map(String),
    })
    const before = state()
    const { openIdentity } = await import('kyconnect')
    const imported = state()
    const identity = await openIdentity()
    const response = await identity.fetch('metadata')
    await response.text()
    await identity.close()
    console.log(before === imported, before === state(), before.includes('globalDispatcher'))
  `)
  expect([done.code, done.stdout], done.stderr).toEqual([0, 'true true false\n'])
})

test('after a renewal by another process, certificate and tls() are the new ones, and onRenewed is called once', async () => {
  const done = await runProgram(
    `
    import { execFile } from 'node:child_process'
    import { X509Certificate } from 'node:crypto'
    import { promisify } from 'node:util'
    import { openIdentity } from 'kyconnect'
    const renewed = []
    const identity = await openIdentity({ onRenewed: ({ fingerprint }) => renewed.push(fingerprint) })
    const [before, { cert, key }] = [identity.certificate.fingerprint, identity.tls()]
    await promisify(execFile)(process.execPath, [${JSON.stringify(program)}, 'renew'])
    console.log(await identity.renewIfDue(), await identity.renewIfDue())
    const { fingerprint } = identity.certificate
    const now = identity.tls()
    const tlsFingerprint = new X509Certificate(now.cert).fingerprint256.replaceAll(':', '').toLowerCase()
    console.log(fingerprint !== before, now.cert !== cert, now.key !== key, tlsFingerprint === fingerprint)
    console.log((await identity.fetch('info')).status, renewed.length === 1 && renewed[0] === fingerprint)
    await identity.close()
  `,
  )
  expect([done.code, done.stdout], done.stderr).toEqual([0, 'true false\ntrue true true true\n200 true\n'])
})

test('an identity that is left open does not keep the program running', async () => {
  const startMs = performance.now()
  const done = await runProgram(`
    import { openIdentity } from 'kyconnect'
    const identity = await openIdentity()
    console.log((await (await identity.fetch('metadata')).json()) instanceof Array)
  `)
  expect([done.code, done.stdout], done.stderr).toEqual([0, 'true\n'])
  // A time limit of 30 s that was left running would.
  expect(performance.now() - startMs).toBeLessThan(25_000)
})

test('close ends what runs, and the signal closes', async () => {
  const done = await runProgram(`
    import { openIdentity } from 'kyconnect'
    const hang = () => ({
      method: 'POST',
      duplex: 'half',
      body: new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) }),
    })
    const settle = (promise) => promise.then(() => 'answered', (error) => error.message)

    const closed = await openIdentity()
    const running = settle(closed.fetch('metadata', hang()))
    setTimeout(() => closed.close(), 300)
    console.log(await running)
    await closed.close()
    console.log(await settle(closed.fetch('metadata')))
    console.log(await settle(closed.renewIfDue()))

    const controller = new AbortController()
    const aborted = await openIdentity({ signal: controller.signal })
    const other = settle(aborted.fetch('metadata', hang()))
    setTimeout(() => controller.abort(new Error('the program ends')), 300)
    console.log(await other)
    console.log(await settle(aborted.fetch('metadata')))
    console.log(await settle(openIdentity({ signal: controller.signal })))
  `)
  const [closed, ended] = ['the identity has been closed', 'the program ends']
  expect([done.code, done.stdout.trim().split('\n')], done.stderr).toEqual([
    0,
    [closed, closed, closed, ended, ended, ended],
  ])
})

test('a store is a folder or another object, and NODE_DEBUG prints nothing of a request', async () => {
  const done = await runProgram(
    `
    import { openIdentity, openKyconnect } from 'kyconnect'
    const { store } = await openKyconnect()
    for (const given of [${JSON.stringify(home)}, store]) {
      const identity = await openIdentity({ store: given, profile: 'demo' })
      console.log((await identity.fetch('info')).status)
      await identity.close()
    }
    const lost = await openIdentity({ store: '/nonexistent/home' }).catch((error) => error.code)
    console.log(lost)
  `,
    { NODE_DEBUG: 'fetch,undici' },
  )
  expect([done.code, done.stdout, done.stderr]).toEqual([0, '200\n200\nERR_NO_IDENTITY\n', ''])
})

test('events that are larger than the memory altogether are published', async () => {
  // 250 MB of data. 1,024 events that are read ahead have 50 MB, as objects and again as bodies.
  const done = await runProgram(
    `
    import { openIdentity, publishEvents } from 'kyconnect'
    function* events() {
      for (let number = 0; number < 5000; number++) {
        const data = String(number).padEnd(50_000, 'x')
        yield { 'event-type': 'order.created', 'event-type-version': 'v1', 'event-time': new Date().toISOString(), data }
      }
    }
    const identity = await openIdentity()
    let published = 0
    for await (const { outcome } of publishEvents(identity, events())) if (outcome === 'published') published++
    const { maxRSS } = process.resourceUsage()
    console.log(published, maxRSS < 450 * 1024 ? 'little memory' : maxRSS)
    await identity.close()
  `,
    { NODE_OPTIONS: '--max-old-space-size=150' },
  )
  expect([done.code, done.stdout], done.stderr).toEqual([0, '5000 little memory\n'])
})

test('no command loads the fetch of programs', async () => {
  for (const name of ['main.js', 'runs.js']) {
    expect(await readFile(join(root, 'dist', name), 'utf8')).not.toContain('fetch.js')
  }
  expect(await readFile(join(root, 'dist/index.js'), 'utf8')).toContain('./fetch.js')
})
