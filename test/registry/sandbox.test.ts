import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ConfirmationNeededError, ServiceConflictError, ServiceFilesError, UsageError } from '../../src/errors.js'
import { RawJson } from '../../src/registry/content.js'
import { findService } from '../../src/registry/find-service.js'
import { contentLabel, ownLabels } from '../../src/registry/label.js'
import type { RegisteredService } from '../../src/registry/registered-service.js'
import { errorOf, type ApplyEvent } from '../../src/registry/result.js'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { startTestSandbox } from '../sandbox/wire.js'
import { outcomesOf, planWith, run, stepsOf, applyWith } from '../support/apply.js'
import { openSandboxRegistry, type OpenRegistry } from '../support/registry.js'
import { asyncApi, documentation, lineOf, openApi, secret, serviceOf } from '../support/services.js'

let sandbox: Sandbox
let registry: OpenRegistry
let otherApp: OpenRegistry
const log: string[] = []

beforeAll(async () => {
  sandbox = await startTestSandbox({ log: (line) => log.push(line) })
  registry = await openSandboxRegistry(sandbox, 'demo')
  otherApp = await openSandboxRegistry(sandbox, 'shop')
})
afterEach(async () => {
  for (const { id } of await registry.client.list()) await registry.client.delete(id)
})
afterAll(async () => {
  await registry.close()
  await otherApp.close()
  await sandbox.close()
})

const basic = { basic: { username: secret('KYCONNECT_SECRET_USER'), password: secret('KYCONNECT_SECRET_PASSWORD') } }
const all = [
  serviceOf('orders', { api: { spec: openApi }, labels: { team: 'a', 'x.y': '' }, description: '<b> & 100% ä' }),
  serviceOf('plain'),
  serviceOf('catalogue', { events: { spec: asyncApi }, documentation }),
  serviceOf('secured', { api: { credentials: basic } }),
  serviceOf('odata', { api: { apiType: 'odata', spec: new RawJson('{"odata":1}') } }),
]
const read = async (identifier: string): Promise<RegisteredService> => {
  const { id } = findService(await registry.client.list(), identifier)
  const found = await registry.client.get(id)
  if (found === undefined) throw new Error(`${identifier} is not registered`)
  return found
}
/** Changes a service as someone would do it by hand, with all its labels. */
const changeByHand = async (identifier: string, change: Record<string, unknown>): Promise<void> => {
  const { id, details } = await read(identifier)
  await registry.client.replace(id, JSON.stringify({ ...details, ...change }))
}
/** The requests that the Registry got while something was done: `GET`, `PUT` and so on, sorted. */
const requestsOf = async (work: () => Promise<unknown>): Promise<string[]> => {
  log.length = 0
  await work()
  return log.flatMap((line) => /\b(GET|PUT|POST|DELETE) \S*\/metadata\//.exec(line)?.[1] ?? []).sort()
}

describe('a folder of services', () => {
  test('goes through its life: apply, unchanged, one change, drift, prune', async () => {
    expect(await requestsOf(() => run(registry, all))).toEqual(['GET', 'POST', 'POST', 'POST', 'POST', 'POST'])
    expect(await requestsOf(() => run(registry, all, { prune: true }))).toEqual(['GET'])

    const changed = [serviceOf('orders', { api: { spec: openApi }, name: 'New' }), ...all.slice(1)]
    expect(stepsOf(await planWith(registry, changed))).toContain('update orders')
    expect(await requestsOf(() => run(registry, changed))).toEqual(['GET', 'PUT'])
    expect(await requestsOf(() => run(registry, changed))).toEqual(['GET'])

    await changeByHand('orders', { description: 'By hand' })
    const drifted = await planWith(registry, changed)
    expect(drifted.steps[0]).toMatchObject({ action: 'update', reasons: ['drifted'], drifted: ['description'] })
    await applyWith(registry, drifted)
    expect((await read('orders')).description).toBe('Sells')

    const [first] = changed
    const pruned = await run(registry, first === undefined ? [] : [first], { prune: true })
    expect(outcomesOf(pruned).sort()).toEqual([
      'delete catalogue: done',
      'delete odata: done',
      'delete plain: done',
      'delete secured: done',
      'unchanged orders: done',
    ])
    expect((await registry.client.list()).map(({ identifier }) => identifier)).toEqual(['orders'])
  })

  test('arrives as it is: specs byte by byte, labels, secrets resolved', async () => {
    const spec = new RawJson('{"openapi":"3.0.0","big":12345678901234567890,"one":1.0,"text":"\\u00e4\\/"}')
    await run(registry, [serviceOf('exact', { api: { spec, credentials: basic }, labels: { team: 'a' } })])
    const { json, details, labels } = await read('exact')
    expect(json).toContain(`"spec":${spec.text}`)
    expect(details).toMatchObject({ api: { credentials: { basic: { username: '********', password: '********' } } } })
    expect(ownLabels(labels)).toEqual({ team: 'a' })
  })

  test('is created in parallel, reports each step as it begins and ends, and keeps the order of the files in the results', async () => {
    const many = Array.from({ length: 40 }, (_, index) => serviceOf(`s${index}`))
    const events: ApplyEvent[] = []
    let atOnce = 0
    let most = 0
    const { results } = await run(
      registry,
      many,
      {},
      {
        concurrency: 4,
        report: (event) => {
          atOnce += event.event === 'started' ? 1 : -1
          most = Math.max(most, atOnce)
          events.push(event)
        },
      },
    )
    expect(results.map(({ identifier }) => identifier)).toEqual(many.map(({ identifier }) => identifier))
    expect(most).toBe(4)
    const finished = events.flatMap((event) => (event.event === 'finished' ? [event] : []))
    expect(finished.map((event) => event.finished)).toEqual(many.map((_, index) => index + 1))
    expect(finished.at(-1)).toMatchObject({ total: 40, result: { action: 'create', outcome: 'done' } })
    expect(new Set(results.map(({ id }) => id))).toHaveLength(40)
  })

  test('is written again where it has credentials, when they are refreshed', async () => {
    await run(registry, all)
    expect(await requestsOf(() => run(registry, all, { refreshCredentials: true }))).toEqual(['GET', 'PUT'])
  })
})

describe('two sets', () => {
  test('on one App never touch each other, and one identifier cannot be in both', async () => {
    await run(registry, [serviceOf('ours'), serviceOf('old')], { set: 'one' })
    await run(registry, [serviceOf('theirs')], { set: 'two', prune: true })
    await run(registry, [serviceOf('ours')], { set: 'one', prune: true })
    expect((await registry.client.list()).map(({ identifier }) => identifier)).toEqual(['ours', 'theirs'])

    const taken = requestsOf(() => run(registry, [serviceOf('new'), serviceOf('ours')], { set: 'two', adopt: true }))
    await expect(taken).rejects.toThrow(ServiceConflictError)
    await expect(taken).rejects.toThrow(/ours.*belongs to the set "one"/)
    expect(log.filter((line) => /\b(POST|PUT|DELETE) /.test(line))).toEqual([])
  })

  test('on two Apps know nothing of each other', async () => {
    await run(registry, [serviceOf('ours')])
    await run(otherApp, [serviceOf('ours')])
    expect(stepsOf(await planWith(registry, [serviceOf('ours')]))).toEqual(['unchanged ours'])
    await run(otherApp, [serviceOf('rest')], { prune: true })
    expect(stepsOf(await planWith(registry, [serviceOf('ours')]))).toEqual(['unchanged ours'])
  })
})

describe('a service that was registered by hand', () => {
  const byHand = (more: string): Promise<unknown> =>
    registry.client.create(`{"provider":"p","name":"n","description":"d","identifier":"orders",${more}}`)

  test('is taken over with --adopt alone', async () => {
    await byHand('"api":{"targetUrl":"https://x.example","spec":{"a":1}}')
    await expect(planWith(registry, all)).rejects.toThrow(ServiceConflictError)
    const plan = await planWith(registry, all, { adopt: true })
    expect(plan.steps[0]).toMatchObject({ action: 'update', reasons: ['adopted'] })
    const { id } = await read('orders')
    await applyWith(registry, plan)
    expect(await read('orders')).toMatchObject({ id, name: 'The orders' })
    expect(stepsOf(await planWith(registry, all)).filter((step) => !step.startsWith('unchanged'))).toEqual([])
  })

  test('is read before it is taken over, where its parts could stay', async () => {
    await byHand('"api":{"targetUrl":"https://x.example","spec":{"a":1}}')
    const plan = await planWith(registry, [serviceOf('orders')], { adopt: true })
    expect(plan.steps).toMatchObject([{ action: 'replace', lost: ['spec'], reasons: ['adopted'] }])
  })

  test('is updated when it has no parts that could stay', async () => {
    await byHand('"api":{"targetUrl":"https://x.example"}')
    expect(stepsOf(await planWith(registry, [serviceOf('orders')], { adopt: true }))).toEqual(['update orders'])
  })
})

describe('a service that loses the last of its parts', () => {
  test('is replaced with --replace only, and has a new id then', async () => {
    await run(registry, [serviceOf('orders', { api: { spec: openApi } })])
    const before = await read('orders')
    const plan = await planWith(registry, [serviceOf('orders')])
    expect(stepsOf(plan)).toEqual(['replace orders'])
    const writes = await requestsOf(async () => {
      await expect(applyWith(registry, plan)).rejects.toThrow(ConfirmationNeededError)
    })
    expect(writes).toEqual([])
    const { results } = await applyWith(registry, plan, { replace: true })
    const after = await read('orders')
    expect(after.details).not.toHaveProperty('api.spec')
    expect(after.id).not.toBe(before.id)
    expect(results).toMatchObject([{ action: 'replace', outcome: 'done', id: after.id }])
  })

  test.each<[string, Record<string, unknown>]>([
    ['changed', { name: 'By hand' }],
    ['taken out of its set', {}],
  ])('is found by reading, where it was added by hand and the service was %s', async (how, change) => {
    const plain = serviceOf('orders')
    await run(registry, [plain])
    const { labels } = await read('orders')
    const kept = how === 'changed' ? labels : { [contentLabel]: labels[contentLabel] }
    await changeByHand('orders', { ...change, labels: kept, api: { targetUrl: 'https://x.example', spec: { a: 1 } } })
    expect(stepsOf(await planWith(registry, [plain], { adopt: true }))).toEqual(['replace orders'])
  })

  test('is updated when somebody has taken the part away already', async () => {
    await run(registry, [serviceOf('orders', { api: { spec: openApi } })])
    const { id, details, labels } = await read('orders')
    await registry.client.delete(id)
    await registry.client.create(JSON.stringify({ ...details, labels, api: { targetUrl: 'https://x.example' } }))
    expect(stepsOf(await planWith(registry, [serviceOf('orders')]))).toEqual(['update orders'])
  })
})

describe('before anything is sent', () => {
  test('all missing secrets are reported, each with its field', async () => {
    const plan = await planWith(registry, [serviceOf('plain'), serviceOf('a', { api: { credentials: basic } })])
    const writes = await requestsOf(async () => {
      const applied = applyWith(registry, plan, {
        resolveSecret: ({ text }) => {
          throw new UsageError(`${text} is not set`, { hints: ['set it'] })
        },
      })
      const error: unknown = await applied.catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(ServiceFilesError)
      expect(error).toMatchObject({
        details: {
          problems: [
            {
              message: '${env:KYCONNECT_SECRET_USER} is not set',
              file: 'a.yaml',
              line: lineOf('api.credentials.basic.username'),
              hint: 'set it',
            },
            { message: '${env:KYCONNECT_SECRET_PASSWORD} is not set', line: lineOf('api.credentials.basic.password') },
          ],
        },
      })
    })
    expect(writes).toEqual([])
  })

  test('a body over 5 MiB is refused with the sizes, and one of exactly 5 MiB is registered', async () => {
    const bodyBytes = 5 * 1024 * 1024
    const withSpecOf = (length: number): ReturnType<typeof serviceOf> =>
      serviceOf('big', { api: { spec: new RawJson(`{"openapi":"3.0.0","x":"${'a'.repeat(length)}"}`) } })
    const plan = await planWith(registry, [withSpecOf(bodyBytes)])
    const error: unknown = await applyWith(registry, plan).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ServiceFilesError)
    expect(error).toMatchObject({
      message: '1 problem in the services; nothing was sent',
      details: {
        problems: [
          {
            message: 'the service has 5.01 MiB, and the gateway takes at most 5 MiB: api.spec has 5.01 MiB',
            file: 'big.yaml',
            line: lineOf('api.spec'),
          },
        ],
      },
    })
    const { requestBody } = await import('../../src/registry/body.js')
    const rest = Buffer.byteLength(requestBody(withSpecOf(0), 'shop', () => ''))
    const tooMuch = await planWith(registry, [withSpecOf(bodyBytes - rest + 1)])
    await expect(applyWith(registry, tooMuch)).rejects.toThrow(ServiceFilesError)
    expect(outcomesOf(await run(registry, [withSpecOf(bodyBytes - rest)]))).toEqual(['create big: done'])
  })
})

describe('a refusal', () => {
  test('does not stop the other services, prevents deletions, and names file, line and field', async () => {
    await run(registry, [serviceOf('old')])
    const services = [
      serviceOf('bad', { api: { targetUrl: 'not a url' }, name: '' }),
      serviceOf('good'),
      serviceOf('unfetchable', { api: { specificationUrl: 'http://127.0.0.1:9/x' } }),
    ]
    const applied = await run(registry, services, { prune: true })
    expect(outcomesOf(applied)).toEqual([
      'create bad: failed',
      'create good: done',
      'create unfetchable: failed',
      'delete old: skipped',
    ])
    expect(applied.results[0]?.problems).toMatchObject([
      { message: 'Name field cannot be empty.', path: ['name'], place: { file: 'bad.yaml', line: lineOf('name') } },
      {
        message: 'targetUrl: not a url does not validate as url',
        path: ['api', 'targetUrl'],
        place: { line: lineOf('api.targetUrl') },
      },
    ])
    expect(applied.results[2]?.problems).toMatchObject([
      {
        message: expect.stringContaining('Fetching API spec from http://127.0.0.1:9/x failed') as string,
        path: ['api', 'specificationUrl'],
        hint: expect.stringMatching(/within 5 s and from inside the cluster/) as string,
      },
    ])
    expect(errorOf(applied)).toMatchObject({
      code: 'ERR_SERVICES_FAILED',
      message: '2 of 4 changes failed, and 1 was not deleted because of that',
      details: {
        failures: [
          { identifier: 'bad', problems: [{ field: 'name', file: 'bad.yaml', line: 3, column: 2 }, { line: 7 }] },
          { identifier: 'unfetchable' },
        ],
        skipped: 1,
      },
    })
  })
})

describe('a service is found', () => {
  test('by its id before its identifier, and by its identifier before its name', async () => {
    await run(registry, [
      serviceOf('a', { name: 'b' }),
      serviceOf('b', { name: 'a' }),
      serviceOf('c', { name: 'same' }),
    ])
    await run(registry, [serviceOf('d', { name: 'same' })], { set: 'other' })
    const listed = await registry.client.list()
    const [first] = listed
    expect(findService(listed, 'a')).toBe(first)
    expect(findService(listed, first?.id ?? '')).toBe(first)
    expect(() => findService(listed, 'same')).toThrow('2 services have the name "same"')
    expect(() => findService(listed, 'none')).toThrow('no service has the id, identifier or name "none"')
  })
})
