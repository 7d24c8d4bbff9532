import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { jsonError, kyconnect, program, root, run, type Run } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let sandbox: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>
/** The requests that the sandbox has answered: `GET /demo/v1/metadata/services`. */
let requests: string[] = []
let files = ''
let count = 0

const secrets = {
  KYCONNECT_SECRET_ORDERS_USERNAME: 'the-user-of-the-orders',
  KYCONNECT_SECRET_STOCK_CLIENT_ID: 'the-client-of-the-stock',
  KYCONNECT_SECRET_STOCK_CLIENT_SECRET: 'the-secret-of-the-stock',
}

beforeAll(async () => {
  const takeLine = (line: string): void => {
    const [request] = /[A-Z]+ \/demo\/v1\/metadata\/services\S*/.exec(line) ?? []
    if (request !== undefined) requests.push(request)
  }
  ;[sandbox, folder] = await Promise.all([startSandboxProcess(['--log'], takeLine), temporaryFolder('services')])
  const paired = await services([], { command: ['pair', '--url', '-'], input: await sandbox.tokenUrl() })
  expect(paired.code, paired.stderr).toBe(0)
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})
beforeEach(async () => {
  files = join(folder.path, `files-${count++}`)
  await cp(join(root, 'fixtures', 'services'), files, { recursive: true })
  const listed = await list()
  if (listed.length > 0) {
    const deleted = await services(['delete', ...listed.map(({ id }) => id), '--yes'])
    expect(deleted.code, deleted.stderr).toBe(0)
  }
  requests = []
})

interface Options {
  readonly command?: readonly string[]
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}

function services(args: readonly string[], { command, input, env = secrets }: Options = {}): Promise<Run> {
  return kyconnect(command ?? ['services', ...args], {
    cwd: folder.path,
    env: { ...sandbox.ready.env, KYCONNECT_HOME: join(folder.path, 'home'), ...env },
    ...(input === undefined ? {} : { input }),
  })
}

function apply(...more: readonly string[]): Promise<Run> {
  return services(['apply', '-f', files, '--yes', ...more])
}

interface Listed {
  readonly id: string
  readonly identifier: string
  readonly name: string
  readonly set: string | null
}

async function list(): Promise<readonly Listed[]> {
  const run = await services(['list', '--json'])
  expect(run.code, run.stderr).toBe(0)
  return (JSON.parse(run.stdout) as { services: Listed[] }).services
}

async function change(name: string, from: string, to: string): Promise<void> {
  const text = await readFile(join(files, name), 'utf8')
  expect(text).toContain(from)
  await writeFile(join(files, name), text.replace(from, to))
}

const serviceByHand = {
  provider: 'p',
  name: 'n',
  description: 'd',
  identifier: 'by-hand',
  api: { targetUrl: 'https://x.example' },
}

/** Sends a request to the Registry, as a person would. */
async function call(...args: readonly string[]): Promise<string> {
  const run = await services([], { command: ['call', 'metadata', ...args] })
  expect(run.code, run.stderr).toBe(0)
  return run.stdout
}

describe('a folder of services', () => {
  test('goes through its life: apply, unchanged, one change, drift, prune, empty', async () => {
    const first = await apply()
    expect(first.code, first.stderr).toBe(0)
    expect(first.stdout).toContain('4 created')
    expect((await list()).map(({ identifier }) => identifier).sort()).toEqual([
      'order-events',
      'orders-v1',
      'stock',
      'warehouse',
    ])

    requests = []
    const second = await apply()
    expect([second.code, second.stdout]).toEqual([0, 'App "demo", set "default": 4 unchanged\n'])
    expect(requests).toEqual(['GET /demo/v1/metadata/services'])

    await change('orders.yaml', 'Orders of the shop', 'All orders of the shop')
    requests = []
    const changed = await apply()
    expect(changed.stdout).toContain('1 updated')
    expect(changed.stdout).toMatch(/update +orders-v1 .*changed: description/)
    expect(requests).toEqual([
      'GET /demo/v1/metadata/services',
      expect.stringMatching(/^PUT \/demo\/v1\/metadata\/services\/[\w-]+$/),
    ])

    const [stock] = (await list()).filter(({ identifier }) => identifier === 'stock')
    const labels = JSON.parse(await call(`/${stock?.id ?? ''}`)) as { labels: Record<string, string> }
    const byHand = { provider: 'Shop Ltd', name: 'By hand', description: 'x', api: { targetUrl: 'https://x.example' } }
    await call(`/${stock?.id ?? ''}`, '-X', 'PUT', '-d', JSON.stringify({ ...byHand, labels: labels.labels }))
    const drifted = await services(['diff', '-f', files])
    expect(drifted.code).toBe(10)
    expect(drifted.stdout).toContain('drifted: name, description')
    expect((await apply()).stdout).toContain('1 updated')
    expect((await services(['diff', '-f', files, '--full'])).code).toBe(0)

    await rm(join(files, 'stock.json'))
    expect((await apply()).stdout).not.toContain('delete')
    expect((await services(['diff', '-f', files, '--prune'])).stdout).toMatch(/delete +stock/)
    expect((await apply('--prune')).stdout).toContain('1 deleted')
    expect((await list()).map(({ identifier }) => identifier)).not.toContain('stock')

    await rm(files, { recursive: true })
    await mkdir(files)
    expect(jsonError(await apply('--prune', '--json'))).toMatchObject({ code: 'ERR_SERVICE_FILES', exitCode: 2 })
    expect(await list()).toHaveLength(3)
  }, 120_000)

  test('arrives with its specs, its secrets resolved and its Markdown, and shows no secret anywhere', async () => {
    const outputs = [await services(['apply', '-f', files, '--dry-run']), await apply('--verbose')]
    const orders = await services(['get', 'orders-v1'])
    outputs.push(orders, await services(['diff', '-f', files, '--full', '--json']), await services(['export', 'out-1']))
    expect(outputs.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
    expect(JSON.parse(orders.stdout)).toMatchObject({
      name: 'Orders',
      identifier: 'orders-v1',
      labels: { team: 'sales' },
      api: { spec: { openapi: '3.0.3' }, credentials: { basic: { username: '********', password: '********' } } },
      documentation: { docs: [{ source: expect.stringContaining('Ask for an order') as string }] },
    })
    const said = outputs.map(({ stdout, stderr }) => stdout + stderr).join('')
    for (const secret of [...Object.values(secrets), 'a password of the shop']) expect(said).not.toContain(secret)
  })

  test('is found different by --full alone where the list shows no difference, and apply --full mends it', async () => {
    await apply()
    const [warehouse] = (await list()).filter(({ identifier }) => identifier === 'warehouse')
    const path = `/${warehouse?.id ?? ''}`
    const details = JSON.parse(await call(path)) as { api: { targetUrl: string } }
    details.api.targetUrl = 'https://elsewhere.example.com'
    await call(path, '-X', 'PUT', '-d', JSON.stringify(details))
    expect((await services(['diff', '-f', files])).code).toBe(0)
    const full = await services(['diff', '-f', files, '--full'])
    expect([full.code, full.stdout]).toEqual([10, expect.stringMatching(/update +warehouse .*drifted: api\.targetUrl/)])
    expect((await apply('--full')).stdout).toContain('1 updated')
    expect((await services(['diff', '-f', files, '--full'])).code).toBe(0)
  })

  test('has the fields named that differ: those of the list, and with --full all, without their values', async () => {
    await apply()
    await change('warehouse.yaml', 'description: ', 'description: More ')
    await change('warehouse.yaml', 'https://', 'https://other.')
    await change('warehouse.yaml', 'openapi: 3.0.', 'openapi: 3.1.')
    const diff = await services(['diff', '-f', files])
    expect(diff.stdout).toMatch(/update +warehouse .*changed: description +/)
    const full = await services(['diff', '-f', files, '--full', '--json'])
    expect(JSON.parse(full.stdout)).toMatchObject({
      plan: [{ reasons: ['changed'], changed: ['description', 'api.targetUrl', 'api.spec'], drifted: [] }],
    })
  })

  test('has a warning where the cluster cannot call a targetUrl that the Registry accepts', async () => {
    await change('warehouse.yaml', 'https://', '')
    const run = await services(['diff', '-f', join(files, 'warehouse.yaml'), '--json'])
    const [line = ''] = run.stderr.split('\n')
    expect(JSON.parse(line)).toMatchObject({
      warning: { code: 'target-url-scheme', identifier: 'warehouse', scheme: null, line: 6 },
    })
  })

  test('that differs is a result of diff, not an error: only with --json is there one for programs', async () => {
    const run = await services(['diff', '-f', files])
    expect([run.code, run.stderr]).toEqual([
      10,
      '  → to make them equal: kyconnect services apply, with the same flags\n',
    ])
    expect(jsonError(await services(['diff', '-f', files, '--json']))).toMatchObject({ code: 'ERR_SERVICES_DIFFER' })
  })

  test('writes credentials again on request, and needs the secrets only then', async () => {
    await apply()
    const without = { env: {} }
    expect((await services(['apply', '-f', files, '--yes'], without)).code).toBe(0)
    const refresh = ['apply', '-f', files, '--yes', '--refresh-credentials']
    const run = await services(refresh, without)
    expect(run.code).toBe(2)
    expect(run.stderr).toMatch(/orders\.yaml:\d+:\d+: .*KYCONNECT_SECRET_ORDERS_USERNAME.* is not set/)
    expect(run.stderr).toMatch(/stock\.json:\d+:\d+: .*KYCONNECT_SECRET_STOCK_CLIENT_ID.* is not set/)
    requests = []
    expect((await services(refresh)).stdout).toContain('2 updated')
    expect(requests.filter((request) => request.startsWith('PUT'))).toHaveLength(2)
  })

  test('is described on standard input as well', async () => {
    const input = await readFile(join(files, 'warehouse.yaml'), 'utf8')
    const run = await services(['apply', '-f', '-', '--yes'], { input })
    expect([run.code, run.stdout], run.stderr).toEqual([0, expect.stringContaining('1 created')])
  })
})

describe('sets', () => {
  test('on one App never delete each other, and a service by hand is taken over with --adopt alone', async () => {
    await apply('--set', 'one')
    const other = join(folder.path, `other-${count}`)
    await mkdir(other)
    const text = (await readFile(join(files, 'warehouse.yaml'), 'utf8')).replace(
      'identifier: warehouse',
      'identifier: w2',
    )
    await writeFile(join(other, 'w2.yaml'), text)
    const second = ['apply', '-f', other, '--set', 'two', '--prune', '--yes']
    expect((await services(second)).stdout).toContain('1 created')
    expect((await apply('--set', 'one', '--prune')).stdout).toContain('4 unchanged')
    expect(await list()).toHaveLength(5)

    const foreign = await services(['apply', '-f', files, '--set', 'two', '--adopt', '--yes', '--json'])
    expect(jsonError(foreign)).toMatchObject({ code: 'ERR_SERVICE_CONFLICT', exitCode: 2 })

    await call('-d', JSON.stringify(serviceByHand))
    await writeFile(join(other, 'w3.yaml'), text.replace('identifier: w2', 'identifier: by-hand'))
    const refused = await services([...second, '--json'])
    expect(jsonError(refused)).toMatchObject({
      code: 'ERR_SERVICE_CONFLICT',
      hint: expect.stringContaining('--adopt') as string,
    })
    expect(jsonError(await services([...second, '--dry-run', '--json']))).toMatchObject({
      code: 'ERR_SERVICE_CONFLICT',
    })
    const diff = await services(['diff', '-f', other, '--set', 'two', '--prune'])
    expect(diff.stdout).toMatch(/update +by-hand .*to be adopted: provider, name, description/)
    expect(diff.stderr).toContain('with the same flags and --adopt')
    expect((await services([...second, '--adopt'])).stdout).toContain('1 updated')
    expect(
      (await list())
        .filter(({ set }) => set === 'two')
        .map(({ identifier }) => identifier)
        .sort(),
    ).toEqual(['by-hand', 'w2'])
  })
})

test('a set is renamed with its ids by a PUT without labels and --adopt, as docs/services.md says', async () => {
  const file = join(files, 'orders.yaml')
  await services(['apply', '-f', file, '--set', 'old', '--yes'])
  const before = await list()
  expect(before).not.toEqual([])
  for (const { id } of before) {
    const body = { provider: 'p', name: 'n', description: 'd', api: { targetUrl: 'https://x.example' } }
    await call(`/${id}`, '-X', 'PUT', '-d', JSON.stringify(body))
  }
  expect((await list()).map(({ set }) => set)).toEqual(before.map(() => null))
  const adopted = await services(['apply', '-f', file, '--set', 'new', '--adopt', '--yes'])
  expect(adopted.code, adopted.stderr).toBe(0)
  expect(await list()).toEqual(before.map((service) => ({ ...service, set: 'new' })))
})

describe('a service that loses the last of spec, events and documentation', () => {
  test('is replaced with --replace, and refused without', async () => {
    const file = join(files, 'warehouse.yaml')
    await services(['apply', '-f', file, '--yes'])
    const [before] = await list()
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace(/ {2}spec:\n(?: {4}.*\n)+/, ''))
    const refused = await services(['apply', '-f', file, '--yes'])
    expect([refused.code, refused.stdout]).toEqual([2, expect.stringMatching(/replace +warehouse/)])
    expect(refused.stderr).toContain('--replace')
    const dryRun = await services(['apply', '-f', file, '--dry-run'])
    expect([dryRun.code, dryRun.stdout]).toEqual([2, expect.stringMatching(/replace +warehouse/)])
    expect((await services(['apply', '-f', file, '--dry-run', '--replace'])).code).toBe(0)
    expect((await services(['diff', '-f', file])).stderr).toContain('with the same flags and --replace')
    expect((await services(['apply', '-f', file, '--yes', '--replace'])).stdout).toContain('1 replaced')
    const [after] = await list()
    expect(after?.id).not.toBe(before?.id)
  })
})

describe('problems', () => {
  test('of all files are shown at once, with their places, and nothing is sent', async () => {
    await change('orders.yaml', 'description: Orders of', 'descripton: Orders of')
    await change('warehouse.yaml', 'identifier: warehouse', 'identifier: orders-v1')
    const run = await apply()
    expect([run.code, run.stdout]).toEqual([2, ''])
    expect(run.stderr).toMatch(/orders\.yaml:4:1: descripton is not a field of a service; did you mean description\?/)
    expect(run.stderr).toMatch(/warehouse\.yaml:1:1: .*orders-v1/)
    expect(requests).toEqual([])
  })

  test('of single services do not stop the others; the summary names each with file, line and the answer', async () => {
    const text = await readFile(join(files, 'warehouse.yaml'), 'utf8')
    // Only the service itself finds out that it cannot fetch this.
    await writeFile(
      join(files, 'fetched.yaml'),
      text
        .replace('identifier: warehouse', 'identifier: fetched')
        .replace(/ {2}spec:\n(?: {4}.*\n)+?(?= {2}cred)/, '  specificationUrl: http://127.0.0.1:1/api.json\n'),
    )
    const run = await apply('--prune')
    expect([run.code, run.stdout]).toEqual([6, expect.stringContaining('4 created, 1 failed\n')])
    expect(run.stderr).toMatch(/fetched\.yaml:\d+:\d+: fetched was not created: /)
    expect(run.stderr).toContain('error: 1 of 5 changes failed')
    const again = await apply('--json')
    const { plan, results } = JSON.parse(again.stdout) as { plan: object[]; results: { problems: object[] }[] }
    const { problems } = results[0] ?? {}
    expect(plan).toMatchObject([
      { identifier: 'fetched', file: expect.stringContaining('fetched.yaml') as string, line: 1 },
    ])
    expect(problems).toMatchObject([{ field: 'api.specificationUrl', line: expect.any(Number) as number }])
    expect(jsonError(again).details).toMatchObject({ failures: [{ problems }] })
  })

  test('of secrets are reported before the question, and with --json as well', async () => {
    const run = await services(['apply', '-f', files], { env: {} })
    expect(run.code).toBe(2)
    expect(run.stderr).toMatch(/orders\.yaml:\d+:\d+: .*KYCONNECT_SECRET_ORDERS_USERNAME.* is not set/)
    expect(run.stderr).not.toContain('--yes')
    expect(jsonError(await services(['apply', '-f', files, '--json'], { env: {} }))).toMatchObject({
      code: 'ERR_SERVICE_FILES',
    })
    expect(await list()).toEqual([])
  })

  test('of standard input are reported as those of a file: it must be UTF-8', async () => {
    const input = Buffer.concat([Buffer.from('name: "'), Buffer.from([0xff]), Buffer.from('"\n')])
    const path = join(files, 'latin.txt')
    await writeFile(path, input)
    const shell = await run('sh', ['-c', '"$0" "$1" services diff -f - < "$2"', process.execPath, program, path], {
      cwd: folder.path,
      env: { ...sandbox.ready.env, KYCONNECT_HOME: join(folder.path, 'home') },
    })
    expect([shell.code, shell.stderr]).toEqual([2, expect.stringContaining('standard input is not UTF-8 text')])
  })

  test('without a terminal and without --yes nothing is changed', async () => {
    const run = await services(['apply', '-f', files])
    expect([run.code, run.stdout]).toEqual([2, expect.stringContaining('4 to create')])
    expect(run.stderr).toContain('--yes')
    expect(await list()).toEqual([])
  })
})

describe('export and init', () => {
  test('files that were exported describe what is registered: only the references to secrets change', async () => {
    await apply()
    const out = join(folder.path, `out-${count}`)
    expect((await services(['export', out])).code).toBe(0)
    expect((await readdir(out)).sort()).toContain('orders-v1.openapi.json')
    const diff = await services(['diff', '-f', out, '--json'])
    expect(diff.code).toBe(10)
    const { plan } = JSON.parse(diff.stdout) as { plan: { action: string }[] }
    expect(plan.map(({ action }) => action).every((action) => action === 'update')).toBe(true)
    const again = await services(['export', out, '--json'])
    expect(jsonError(again)).toMatchObject({ code: 'ERR_FILES', exitCode: 9 })
    expect((await services(['export', out, '--force'])).code).toBe(0)
  })

  test('an export names the variables to set, and what applying the files needs', async () => {
    await call(
      '-d',
      JSON.stringify({ provider: 'p', name: 'Without', description: 'd', api: { targetUrl: 'https://x.example' } }),
    )
    await call('-d', JSON.stringify(serviceByHand))
    await services(['apply', '-f', join(files, 'stock.json'), '--yes'])
    const out = join(folder.path, `out-${count}`)
    const run = await services(['export', out])
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).toContain('Wrote 3 services')
    expect(run.stderr).toContain('1 service without an identifier')
    expect(run.stderr).toContain('KYCONNECT_SECRET_STOCK_CLIENT_ID, KYCONNECT_SECRET_STOCK_CLIENT_SECRET')
    expect(run.stderr).toContain('--adopt')
  })

  test('an export of several sets at once is refused, because files of one folder are one set', async () => {
    await services(['apply', '-f', join(files, 'stock.json'), '--yes'])
    await services(['apply', '-f', join(files, 'warehouse.yaml'), '--set', 'other', '--yes'])
    const out = join(folder.path, `out-${count}`)
    const refused = await services(['export', out, '--json'])
    expect(jsonError(refused)).toMatchObject({
      code: 'ERR_USAGE',
      message: 'the App has services of 2 sets: default, other',
      hints: ['export one at a time: --set default'],
    })
    expect((await services(['export', out, '--set', 'other'])).stderr).toContain('Wrote 1 service to')
    expect(await readdir(out)).toContain('warehouse.yaml')
    expect(jsonError(await services(['export', out, '--set', '', '--json']))).toMatchObject({ code: 'ERR_USAGE' })
    expect(jsonError(await services(['list', '--set', '', '--json']))).toMatchObject({ code: 'ERR_USAGE' })
  })

  test('a folder that cannot be created is an error, also where the system denies it as if a parent were missing', async () => {
    await apply()
    for (const path of ['/proc/kyconnect/services', join(files, 'orders.yaml', 'out'), join(files, 'orders.yaml')]) {
      const refused = await services(['export', path, '--json'])
      expect(jsonError(refused)).toMatchObject({
        code: 'ERR_FILES',
        message: `the folder "${path}" cannot be created`,
        exitCode: 9,
      })
    }
    expect((await services(['export', join(files, 'new', 'er', 'folder')])).code).toBe(0)
  })

  test('a specification becomes a service file that applies as it is', async () => {
    const source = join(files, 'orders.openapi.yaml')
    const run = await services(['init', '--from', source, '--json'])
    expect(run.code, run.stderr).toBe(0)
    const [file = ''] = (JSON.parse(run.stdout) as { files: string[] }).files
    expect((await services(['apply', '-f', file, '--yes'])).stdout).toContain('1 created')
    expect(jsonError(await services(['init', '--from', source, '--json']))).toMatchObject({ code: 'ERR_FILES' })
  })

  test('a service file never takes the place of its specification, and is never written to standard output', async () => {
    const openapi = await readFile(join(files, 'orders.openapi.yaml'), 'utf8')
    const server = createServer((_, response) => response.end(openapi)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    const init = (...args: readonly string[]): Promise<Run> =>
      services(['init', '--force', '--json', '--target-url', 'https://x.example', ...args])
    const source = join(files, 'orders.openapi.yaml')
    try {
      for (const args of [
        ['--from', `http://127.0.0.1:${port}/api.yaml`, '-o', join(files, 'api.yaml')],
        ['--from', source, '-o', source],
      ]) {
        expect(jsonError(await init(...args))).toMatchObject({
          code: 'ERR_USAGE',
          hints: [expect.stringMatching(/another name: --output .*\.service\.yaml/)],
        })
      }
      expect(await readdir(files)).not.toContain('api.yaml')
      expect(await readFile(source, 'utf8')).toBe(openapi)
      expect(jsonError(await init('--from', source, '-o', '-'))).toMatchObject({ code: 'ERR_USAGE' })
    } finally {
      server.close()
    }
  })

  test('a specification that is too large for the gateway says what to do', async () => {
    const source = join(files, 'large.yaml')
    await writeFile(source, `openapi: 3.0.0\n# ${'x'.repeat(5 * 1024 * 1024)}\n`)
    const init = ['init', '--from', source, '--target-url', 'https://x.example', '--json']
    expect((await services(init)).code).toBe(0)
    await writeFile(source, `openapi: 3.0.0\n# ${'x'.repeat(9 * 1024 * 1024)}\n`)
    expect(jsonError(await services(init))).toMatchObject({
      code: 'ERR_FILES',
      hints: [expect.stringContaining('api.specificationUrl')],
    })
  })

  test('a URL with a password is refused, and not repeated', async () => {
    const refused = await services(['init', '--from', 'http://user:the-password@127.0.0.1:1/api.yaml'])
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('a user name or a password in it')])
    expect(refused.stderr).not.toContain('the-password')
  })
})

describe('list, get and delete', () => {
  test('take an id, an identifier or a name, and delete nothing when one is unknown', async () => {
    await apply()
    const [first] = await list()
    for (const name of [first?.id ?? '', first?.identifier ?? '', first?.name ?? ''])
      expect(JSON.parse((await services(['get', name])).stdout)).toMatchObject({ id: first?.id })
    expect((await services(['delete', 'stock', 'unknown', '--yes'])).code).toBe(2)
    expect(await list()).toHaveLength(4)
    expect((await services(['delete', 'stock'])).code).toBe(2)
    expect((await services(['delete', 'stock', 'Warehouse', '--yes'])).code).toBe(0)
    expect(await list()).toHaveLength(2)
    const table = await services(['list'])
    expect(table.stdout.split('\n')[0]).toMatch(/^IDENTIFIER +NAME +PROVIDER +SET +ID$/)
  })
})
