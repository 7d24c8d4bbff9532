import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { jsonError, kyconnect, program, run, type Run } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let sandbox: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>

beforeAll(async () => {
  ;[sandbox, folder] = await Promise.all([startSandboxProcess(), temporaryFolder('call-body')])
  expect((await go(['pair', '--url', '-'], await sandbox.tokenUrl())).code).toBe(0)
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})

function go(args: readonly string[], input = ''): Promise<Run> {
  return kyconnect(args, { env: { ...sandbox.ready.env, KYCONNECT_HOME: join(folder.path, 'home') }, input })
}

/** The same body in the three ways that --data takes. */
async function inEachWay(args: readonly string[], body: string): Promise<[string, Run][]> {
  const file = join(folder.path, 'body')
  await writeFile(file, body)
  return [
    ['as text', await go([...args, '-d', body])],
    ['from a file', await go([...args, '-d', `@${file}`])],
    ['from standard input', await go([...args, '-d', '@-'], body)],
  ]
}

const event = JSON.stringify({
  'event-type': 'order.created',
  'event-type-version': 'v1',
  'event-time': '2026-11-23T20:00:00Z',
  data: { order: 4711 },
})

describe('events', () => {
  test.each([
    ['two documents', `${event}\n${event}`, /several JSON documents/],
    ['rubbish after the first', `${event} and more`, /more than a JSON document/],
  ])('%s are refused before anything is sent', async (_, body, why) => {
    for (const [way, done] of await inEachWay(['call', 'events', '--json', '--verbose'], body)) {
      expect([way, done.code, done.stdout]).toEqual([way, 2, ''])
      expect(jsonError(done).message).toMatch(why)
      expect(done.stderr).not.toContain('> POST')
    }
  })

  test('one document is sent as it is', async () => {
    for (const [way, done] of await inEachWay(['call', 'events'], `\n${event}\n`)) {
      expect([way, done.code], done.stderr).toEqual([way, 0])
      expect(JSON.parse(done.stdout)).toMatchObject({ status: expect.any(String) as string })
    }
  })

  test('more than the service takes is passed on, and the service refuses it', async () => {
    const large = JSON.stringify({ ...(JSON.parse(event) as object), data: 'x'.repeat(6 * 1024 * 1024) })
    const done = await go(['call', 'events', '-d', '@-', '--json'], large)
    expect([done.code, done.stdout]).toEqual([6, expect.stringContaining('413')])
  })
})

describe('a service whose credentials are starred', () => {
  const service = { provider: 'p', name: 'starred', description: 'd' }
  const api = (password: string): object => ({
    targetUrl: 'https://shop.example.com',
    credentials: { basic: { username: 'user', password } },
  })
  let id = ''
  beforeAll(async () => {
    const created = await go(['call', 'metadata', '-d', JSON.stringify({ ...service, api: api('real') })])
    id = (JSON.parse(created.stdout) as { id: string }).id
  })

  test('as GET returned it, is refused before it is sent', async () => {
    const stored = (await go(['call', 'metadata', `/${id}`])).stdout
    expect(stored).toContain('********')
    for (const args of [
      ['call', 'metadata', `/${id}`, '-X', 'PUT'],
      ['call', 'metadata'],
      ['call', 'metadata', '-X', 'post'],
    ]) {
      for (const [way, done] of await inEachWay([...args, '--json', '--verbose'], stored)) {
        expect([way, done.code, done.stdout]).toEqual([way, 2, ''])
        expect(jsonError(done).hint).toContain('--allow-starred')
        expect(done.stderr).not.toMatch(/> (PUT|POST)/)
      }
    }
  })

  test('is sent with --allow-starred', async () => {
    const body = JSON.stringify({ ...service, api: api('********') })
    for (const [way, done] of await inEachWay(['call', 'metadata', `/${id}`, '-X', 'PUT', '--allow-starred'], body)) {
      expect([way, done.code], done.stderr).toEqual([way, 0])
    }
  })

  test('cannot be looked for in more than 5 MiB: that is sent with --allow-starred only', async () => {
    const body = JSON.stringify({ ...service, description: 'x'.repeat(6 * 1024 * 1024), api: api('real') })
    const refused = await go(['call', 'metadata', '-d', '@-', '--json'], body)
    expect([refused.code, jsonError(refused).hint]).toEqual([2, expect.stringContaining('--allow-starred')])
    const sent = await go(['call', 'metadata', '-d', '@-', '--allow-starred', '--verbose'], body)
    expect(sent.stderr).toContain('> POST')
  })

  test.each([
    ['on standard input', 'pipe1', '@-'],
    ['from a pipe', 'pipe2', '@pipe2'],
  ])('Ctrl-C ends the reading of a body %s that does not come', async (_, pipe, data) => {
    // A pipe that this shell keeps open, so that it never ends.
    const script = `mkfifo ${pipe}; exec 3<>${pipe}; "$0" "$@" <${pipe} & sleep 1; kill -INT $!; wait $!`
    const done = await run('bash', ['-c', script, process.execPath, program, 'call', 'events', '-d', data], {
      env: { ...sandbox.ready.env, KYCONNECT_HOME: join(folder.path, 'home') },
      cwd: folder.path,
    })
    expect(done.stderr).toContain('interrupted')
  })
})

describe('a body that stops arriving', () => {
  /** Calls with a standard input that this shell keeps open, so that it never ends. */
  const silent = (before: string, args: readonly string[]): Promise<Run> =>
    run(
      'bash',
      ['-c', `mkfifo silent; exec 3<>silent; ${before}; "$0" "$@" <silent`, process.execPath, program, ...args],
      { env: { ...sandbox.ready.env, KYCONNECT_HOME: join(folder.path, 'home') }, cwd: folder.path },
    )
  afterEach(() => rm(join(folder.path, 'silent')))

  test.each([
    ['at once', 'true'],
    ['after its beginning', `printf '{"provider"' >&3`],
  ])('%s is the fault of standard input, which the time-out names, not of the gateway', async (_, before) => {
    const args = ['call', 'metadata', '-d', '@-', '--allow-starred', '--timeout', '2', '--json']
    const done = await silent(before, args)
    const error = jsonError(done)
    expect([done.code, error.code, error.message], done.stderr).toEqual([
      8,
      'ERR_TIMEOUT',
      'standard input timed out: nothing arrived from it for 2 s',
    ])
    expect(error.target).toBeUndefined()
    expect(error.hint).toContain('--timeout <seconds>')
  })
})

test.each([
  ['missing.json', 'it does not exist'],
  ['', 'it is a folder'],
])('a body from the file "%s" that cannot be read is named with the reason: %s', async (name, why) => {
  const file = join(folder.path, name)
  const { message, exitCode } = jsonError(await go(['call', 'metadata', '-d', `@${file}`, '--json']))
  expect([exitCode, message]).toEqual([9, `--data: ${JSON.stringify(file)} cannot be read: ${why}`])
})

test('nothing is sent when the answer has no place to go', async () => {
  const service = JSON.stringify({
    provider: 'p',
    name: 'unwritten',
    description: 'd',
    api: { targetUrl: 'http://x.example' },
  })
  const failed = await go(['call', 'metadata', '--json', '-d', service, '-o', join(folder.path, 'none', 'answer')])
  expect([failed.code, jsonError(failed).code]).toEqual([9, 'ERR_FILES'])
  expect((await go(['call', 'metadata'])).stdout).not.toContain('unwritten')
})
