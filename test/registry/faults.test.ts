import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { InterruptedError } from '../../src/errors.js'
import { RawJson } from '../../src/registry/content.js'
import { compareStored } from '../../src/registry/compare.js'
import { findService } from '../../src/registry/find-service.js'
import { labelsToSend } from '../../src/registry/label.js'
import { requestBody } from '../../src/registry/body.js'
import { errorOf } from '../../src/registry/result.js'
import { applyWith, outcomesOf, planWith, run, stepsOf } from '../support/apply.js'
import { temporaryFolder } from '../support/certificates.js'
import { exchanges } from '../support/golden.js'
import { type Fault, type FaultyRegistry, startFaultyRegistry } from '../support/faulty-registry.js'
import { root } from '../support/kyconnect.js'
import type { OpenRegistry } from '../support/registry.js'
import { describedServices, openApi, secret, serviceOf } from '../support/services.js'

let faulty: FaultyRegistry
let registry: OpenRegistry
let folder: Awaited<ReturnType<typeof temporaryFolder>>

beforeAll(async () => {
  ;[faulty, folder] = await Promise.all([startFaultyRegistry(), temporaryFolder('apply')])
  registry = faulty.open()
})
afterEach(async () => {
  faulty.fault = () => undefined
  for (const { id } of await registry.client.list()) await registry.client.delete(id)
  faulty.requests.length = 0
})
afterAll(async () => {
  await faulty.close()
  await folder.remove()
})

const orders = serviceOf('orders', { api: { spec: openApi } })
const three = [serviceOf('a'), orders, serviceOf('z')]
/** A fault for the first so many requests of a method that are about this service. */
const failing = (method: string, fault: Fault, times = 1, about = ''): void => {
  let left = times
  faulty.fault = (request) =>
    request.method === method && request.body.includes(about) && left-- > 0 ? fault : undefined
}
const recorded = (name: string): Fault => {
  const { status, headers, body = '' } = exchanges.get(name)?.response ?? { status: 0, headers: {} }
  return { status, type: headers['content-type'] ?? '', body }
}
const identifiers = async (): Promise<string[]> =>
  (await registry.client.list()).map(({ identifier }) => identifier ?? '').sort()

describe('when the answer to a POST does not arrive', () => {
  test('a service that was registered is found in the list, and not sent again', async () => {
    failing('POST', 'lost answer', 1, 'orders')
    const applied = await run(registry, three)
    expect(outcomesOf(applied)).toEqual(['create a: done', 'create orders: done', 'create z: done'])
    expect(faulty.count('POST')).toBe(3)
    expect(await identifiers()).toEqual(['a', 'orders', 'z'])
    const ids = (await registry.client.list()).map(({ id }) => id).sort()
    expect(applied.results.map(({ id }) => id).sort()).toEqual(ids)
  })

  test('a service that was not registered is sent once more, after a second look', async () => {
    failing('POST', 'lost request')
    const pauses: number[] = []
    const applied = await run(registry, [orders], {}, { sleep: (ms) => Promise.resolve(void pauses.push(ms)) })
    expect(outcomesOf(applied)).toEqual(['create orders: done'])
    expect(faulty.requests.map(({ method }) => method)).toEqual(['GET', 'POST', 'GET', 'GET', 'POST'])
    expect(pauses).toEqual([1000])
  })

  test('a service that appears only at the second look is not sent again', async () => {
    failing('POST', 'lost request')
    const sleep = async (): Promise<void> => {
      await registry.client.create(requestBody(orders, 'shop', () => ''))
    }
    expect(outcomesOf(await run(registry, [orders], {}, { sleep }))).toEqual(['create orders: done'])
    expect(await identifiers()).toEqual(['orders'])
  })

  test('twice, the service has failed', async () => {
    failing('POST', 'lost request', 2)
    const applied = await run(registry, [orders])
    expect(outcomesOf(applied)).toEqual(['create orders: failed'])
    expect(applied.results[0]?.problems[0]).toMatchObject({ place: { file: 'orders.yaml', line: 1 } })
    expect(applied.results[0]?.problems[0]?.message).toMatch(/broke before the answer was complete/)
  })

  test('in time, it is not sent again: the Registry may still work on it', async () => {
    const impatient = faulty.open(3000)
    failing('POST', 'silence')
    const applied = await run(impatient, [orders])
    expect(outcomesOf(applied)).toEqual(['create orders: failed'])
    expect(faulty.count('POST')).toBe(1)
  })

  test.each<[string, Fault, number]>([
    ['is a 200 without an id', { status: 200, type: 'text/html', body: '<html>' }, 1],
    ['has an id that cannot be in a path', { status: 200, type: 'application/json', body: '{"id":"../x"}' }, 1],
    ['is the gateway’s 504', { status: 504, type: 'text/html', body: '<html><title>504</title>' }, 1],
    ['is the gateway’s 502', recorded('gateway-502'), 2],
  ])('or %s, the list decides, and a POST follows only where the first one is over', async (_, fault, posts) => {
    failing('POST', fault)
    const applied = await run(registry, [orders])
    expect(faulty.count('POST')).toBe(posts)
    expect(outcomesOf(applied)).toEqual([`create orders: ${posts === 1 ? 'failed' : 'done'}`])
    expect(outcomesOf(await run(registry, [orders]))).toEqual([
      posts === 1 ? 'create orders: done' : 'unchanged orders: done',
    ])
  })
})

describe('a 409', () => {
  test('for what another run of the same files has registered is a success', async () => {
    const plan = await planWith(registry, [orders])
    const other = await run(registry, [orders])
    expect(await applyWith(registry, plan)).toMatchObject({ results: [{ outcome: 'done', id: other.results[0]?.id }] })
  })

  test.each([
    ['of another set', { ...labelsToSend(orders, 'other') }],
    ['that was registered by hand', {}],
    ['of this set with other content', { ...labelsToSend(serviceOf('orders'), 'shop') }],
  ])('for a service %s is a failure at the identifier', async (_, labels) => {
    const plan = await planWith(registry, [orders])
    const api = { targetUrl: 'https://x.example' }
    await registry.client.create(
      JSON.stringify({ provider: 'p', name: 'n', description: 'd', identifier: 'orders', labels, api }),
    )
    const applied = await applyWith(registry, plan)
    expect(applied.results[0]?.problems).toMatchObject([
      { message: 'Creating service failed, Service with Identifier orders already exists', path: ['identifier'] },
    ])
    expect(applied.ended).toBeUndefined()
  })
})

describe('a service that disappears between plan and apply', () => {
  test('is created instead of updated', async () => {
    await run(registry, [orders])
    const changed = serviceOf('orders', { api: { spec: openApi }, name: 'New' })
    const plan = await planWith(registry, [changed])
    for (const { id } of await registry.client.list()) await registry.client.delete(id)
    const applied = await applyWith(registry, plan)
    expect(applied.results).toMatchObject([{ action: 'update', outcome: 'done' }])
    expect(applied.results[0]?.id).toBe((await registry.client.list())[0]?.id)
  })

  test('is deleted all the same', async () => {
    await run(registry, three)
    const plan = await planWith(registry, [orders], { prune: true })
    for (const { id, identifier } of await registry.client.list())
      if (identifier === 'a') await registry.client.delete(id)
    expect(outcomesOf(await applyWith(registry, plan))).toEqual([
      'unchanged orders: done',
      'delete a: done',
      'delete z: done',
    ])
  })
})

describe('a broken connection', () => {
  test.each(['PUT', 'DELETE'])('does not matter to a %s, which is sent again', async (method) => {
    await run(registry, [orders, serviceOf('old')])
    failing(method, 'lost answer', 2)
    const changed = serviceOf('orders', { api: { spec: openApi }, name: 'New' })
    expect(outcomesOf(await run(registry, [changed], { prune: true }))).toEqual([
      'update orders: done',
      'delete old: done',
    ])
    expect(faulty.count(method)).toBe(3)
  })
})

/** docs/contract.md §7. */
const istioRefusal: Fault = {
  status: 403,
  type: 'application/json',
  body: '{"code":403,"error":"no valid subject found"}',
}

describe('what would fail for every service ends the run', () => {
  const many = Array.from({ length: 30 }, (_, index) => serviceOf(`s${index}`))

  test.each([
    ['a page for a missing certificate', 'gateway-no-cert-metadata', 'ERR_CLIENT_CERTIFICATE_REFUSED'],
    ['a page for another App', 'gateway-other-app-metadata', 'ERR_REQUEST_REFUSED'],
    ['a page for an unknown App', 'gateway-unknown-app-metadata', 'ERR_REQUEST_REFUSED'],
    ['the Istio gateway’s refusal of the App', 'istio', 'ERR_REQUEST_REFUSED'],
    ['the Registry without the App', 'registry-service-unknown-app-create', 'ERR_REQUEST_REFUSED'],
  ])('%s', async (_, name, code) => {
    await run(registry, [serviceOf('old')])
    const plan = await planWith(registry, many, { prune: true })
    faulty.fault = ({ method }) => (method === 'POST' ? (name === 'istio' ? istioRefusal : recorded(name)) : undefined)
    faulty.requests.length = 0
    const applied = await applyWith(registry, plan, { concurrency: 2 })
    expect(errorOf(applied)?.code).toBe(code)
    // Two were under way.
    expect(faulty.count('POST')).toBeLessThanOrEqual(2)
    expect(faulty.count('DELETE')).toBe(0)
    expect(applied.results.filter(({ outcome }) => outcome === 'skipped').length).toBeGreaterThanOrEqual(29)
  })

  test('a gateway that is gone', async () => {
    const gone = await startFaultyRegistry()
    const there = gone.open()
    const plan = await planWith(there, many)
    gone.fault = () => {
      gone.disappear()
      return 'lost request'
    }
    const applied = await applyWith(there, plan)
    await gone.close()
    expect(errorOf(applied)).toMatchObject({ code: 'ERR_NETWORK', requestSent: false })
    expect(applied.results.filter(({ outcome }) => outcome === 'failed').length).toBeLessThanOrEqual(8)
  })

  test('Ctrl-C: what was under way may have been done, and the next run finds out', async () => {
    const plan = await planWith(registry, many)
    const controller = new AbortController()
    faulty.requests.length = 0
    faulty.fault = () => {
      if (faulty.count('POST') === 2) controller.abort(new InterruptedError('interrupted'))
      return 'silence'
    }
    const applied = await applyWith(faulty.open(60_000, controller.signal), plan, { concurrency: 2 })
    expect(outcomesOf(applied).slice(0, 3)).toEqual(['create s0: unknown', 'create s1: unknown', 'create s2: skipped'])
    expect(applied.results[0]?.problems[0]?.message).toBe('interrupted before the answer')
    expect(errorOf(applied)).toMatchObject({
      code: 'ERR_INTERRUPTED',
      hints: ['run the command again: what succeeded is not done twice'],
    })
  })

  test('a page in the place of the list', async () => {
    faulty.fault = () => ({ status: 200, type: 'text/html', body: '<html>Please log in</html>' })
    await expect(planWith(registry, many)).rejects.toMatchObject({ code: 'ERR_ANSWER_MALFORMED' })
    faulty.fault = () => recorded('gateway-no-cert-metadata')
    await expect(planWith(registry, many)).rejects.toMatchObject({ code: 'ERR_CLIENT_CERTIFICATE_REFUSED' })
  })
})

describe('a list that cannot be relied on is not used', () => {
  const entry = '"id":"a","name":"n","provider":"p","description":"d"'
  test.each([
    ['the same id twice', 200, `[{${entry}},{${entry}}]`],
    ['an identifier that is not text', 200, `[{${entry},"identifier":5,"labels":{"kyconnect-set":"shop"}}]`],
    ['a label that is not text', 200, `[{${entry},"identifier":"x","labels":{"kyconnect-set":["shop"]}}]`],
    ['a part of the list', 206, '[]'],
    ['an answer that a proxy has changed', 203, '[]'],
  ])('%s', async (_, status, body) => {
    faulty.fault = () => ({ status, type: 'application/json', body })
    await expect(planWith(registry, three, { prune: true })).rejects.toMatchObject({ code: 'ERR_ANSWER_MALFORMED' })
  })

  test('null in the place of an identifier or of labels is what Go writes for none', async () => {
    const body = `[{${entry},"identifier":null,"labels":null}]`
    faulty.fault = () => ({ status: 200, type: 'application/json', body })
    expect(await registry.client.list()).toMatchObject([{ id: 'a', identifier: undefined, labels: {} }])
    faulty.fault = () => ({ status: 200, type: 'application/json', body: '[]' })
  })
})

describe('what fails for one service', () => {
  test.each<[string, Fault]>([
    ['a connection that breaks each time', 'lost request'],
    ['no answer in time', 'silence'],
    ['an answer that is too large', { status: 200, type: 'text/html', body: ' '.repeat(1024 * 1024 + 1) }],
  ])('%s, does not keep the others from being changed', async (_, fault) => {
    const services = [serviceOf('a'), serviceOf('b')]
    await run(registry, services)
    const plan = await planWith(
      registry,
      services.map(({ identifier }) => serviceOf(identifier, { name: `New ${identifier}` })),
    )
    failing('PUT', fault, 3, 'New a')
    const applied = await applyWith(faulty.open(3000), plan, { concurrency: 1 })
    expect(outcomesOf(applied)).toEqual(['update a: failed', 'update b: done'])
    expect(applied.ended).toBeUndefined()
    expect(errorOf(applied)?.code).toBe('ERR_SERVICES_FAILED')
  })

  test.each<[string, Fault]>([
    ['the page for a body that is too large', recorded('gateway-body-too-large')],
    [
      'an error of the Registry',
      { status: 500, type: 'application/json', body: '{"code":500,"error":"Internal error."}' },
    ],
    ['text without a form', { status: 400, type: 'text/plain', body: 'x' }],
  ])('%s', async (name, fault) => {
    faulty.fault = ({ method, body }) => (method === 'POST' && body.includes('orders-') ? fault : undefined)
    const applied = await run(registry, [serviceOf('orders-'), serviceOf('b')], {}, { concurrency: 1 })
    const isAboutAll = name === 'text without a form'
    expect(outcomesOf(applied)).toEqual(['create orders-: failed', `create b: ${isAboutAll ? 'skipped' : 'done'}`])
    expect(applied.results[0]?.problems).toHaveLength(1)
  })

  test('a 500 for a service that was registered nevertheless', async () => {
    faulty.fault = async ({ method, body }) => {
      if (method !== 'POST') return undefined
      faulty.fault = () => undefined
      await registry.client.create(body)
      return { status: 500, type: 'application/json', body: '{"code":500,"error":"Internal error."}' }
    }
    expect(outcomesOf(await run(registry, [orders]))).toEqual(['create orders: done'])
  })

  test('the beginning of a replacement: the old service is still there', async () => {
    await run(registry, [orders])
    const before = await registry.client.list()
    const plan = await planWith(registry, [serviceOf('orders', { api: { targetUrl: 'not a url' } })])
    const applied = await applyWith(registry, plan, { replace: true })
    expect(applied.results).toMatchObject([
      { action: 'replace', outcome: 'failed', id: before[0]?.id, problems: [{ path: ['api', 'targetUrl'] }] },
    ])
    expect(await registry.client.list()).toEqual(before)
  })

  test('a gateway that is gone in the middle of a replacement: the user learns that the old service is deleted', async () => {
    const gone = await startFaultyRegistry()
    const there = gone.open()
    await run(there, [orders])
    const plan = await planWith(there, [serviceOf('orders')])
    gone.fault = ({ method }) => {
      if (method !== 'POST') return undefined
      gone.disappear()
      return 'lost request'
    }
    const applied = await applyWith(there, plan, { replace: true })
    await gone.close()
    expect(applied.results[0]?.problems[0]?.hint).toMatch(/the old service is deleted already/)
    expect(applied.ended).toMatchObject({ code: 'ERR_NETWORK' })
  })

  test('the second half of a replacement: the next run registers the service', async () => {
    await run(registry, [orders])
    const plan = await planWith(registry, [serviceOf('orders')])
    failing('POST', { status: 500, type: 'application/json', body: '{"code":500,"error":"Internal error."}' })
    const applied = await applyWith(registry, plan, { replace: true })
    expect(applied.results).toMatchObject([
      {
        action: 'replace',
        outcome: 'failed',
        problems: [{ message: 'Internal error.', hint: expect.stringMatching(/deleted already/) as string }],
      },
    ])
    expect(outcomesOf(await run(registry, [serviceOf('orders')]))).toEqual(['create orders: done'])
  })
})

describe('no secret appears in a plan, a result, an error or a trace', () => {
  const password = 'p&ss "word" <1>'
  const lines = 'first line of it\nsecond line of it'
  const values: Readonly<Record<string, string>> = { USER: 'orders-service', WORD: password, LINES: lines }
  const services = [
    serviceOf('orders-service', {
      api: { credentials: { basic: { username: secret('USER'), password: secret('WORD') } } },
    }),
    serviceOf('second', { api: { credentials: { oauth: { clientSecret: secret('LINES') } } } }),
  ]

  // The texts are cut at 300, 2000 and 16384 characters: a secret across the cut must not be shown in part.
  test.each([0, 270, 294, 1990, 16_330, 16_378])('when a refusal quotes it after %i characters', async (before) => {
    faulty.fault = ({ method, body }) =>
      method === 'GET'
        ? undefined
        : {
            status: 400,
            type: 'application/json',
            body: JSON.stringify({ code: 400, error: `${'-'.repeat(before)}${password}${lines}${body}` }),
          }
    const plan = await planWith(registry, services)
    const applied = await applyWith(registry, plan, {
      resolveSecret: ({ source }) => (source.kind === 'environment' ? (values[source.variable] ?? '') : ''),
    })
    expect(outcomesOf(applied)).toEqual(['create orders-service: failed', 'create second: failed'])
    const error = errorOf(applied)
    const shown = JSON.stringify([plan, applied, error?.message, error?.details]) + registry.traced.join('\n')
    for (const part of ['p&ss', 'p\\u0026ss', 'first line', 'second line', '\\"word'])
      expect(shown.includes(part), part).toBe(false)
    if (before === 0) expect(shown).toContain('REDACTED')
    // The user name is an identifier, too, which the files show.
    expect(registry.redactor.redact('created orders-service')).toBe('created orders-service')
  })

  test('when a page of the gateway quotes it where the text is cut', async () => {
    failing('POST', { status: 504, type: 'text/plain', body: `${'-'.repeat(294)}${password}` }, 2)
    const applied = await applyWith(registry, await planWith(registry, services), { resolveSecret: () => password })
    expect(outcomesOf(applied)).toEqual(['create orders-service: failed', 'create second: failed'])
    expect(applied.results[0]?.problems[0]?.message).toContain('--REDACT…')
  })
})

test('a large answer is read: a list of 4 MiB, a service of 30 MiB, and not an endless one', async () => {
  const answerWith = (body: string): void => {
    faulty.fault = () => ({ status: 200, type: 'application/json', body })
  }
  const mebi = (count: number): string => 'x'.repeat(count * 1024 * 1024)
  answerWith(JSON.stringify([{ id: 'a', provider: 'p', name: mebi(4), description: 'd', labels: {} }]))
  expect((await registry.client.list())[0]?.name).toBe(mebi(4))
  answerWith(JSON.stringify({ name: mebi(30) }))
  expect((await registry.client.get('a'))?.name).toBe(mebi(30))
  answerWith(mebi(33))
  await expect(registry.client.get('a')).rejects.toMatchObject({ code: 'ERR_ANSWER_MALFORMED', reason: 'TOO_LARGE' })
  await expect(registry.client.list()).rejects.toMatchObject({ code: 'ERR_ANSWER_MALFORMED', reason: 'TOO_LARGE' })
})

describe('a process that is killed', () => {
  let worker: string
  let caFile: string

  beforeAll(async () => {
    worker = join(folder.path, 'worker.mjs')
    caFile = join(folder.path, 'ca.pem')
    await writeFile(caFile, faulty.ca)
    await build({
      entryPoints: [join(root, 'test', 'registry', 'apply-worker.ts')],
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: worker,
      logLevel: 'silent',
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    })
  })

  test.each(['lost request', 'lost answer'] as const)(
    'at any request (%s) is continued by the next run, without a duplicate',
    async (fault) => {
      const wanted = describedServices('after')
      let requests = Infinity
      let killedBefore = 0
      for (let deadly = 1; deadly <= requests; deadly++) {
        faulty.fault = () => undefined
        for (const { id } of await registry.client.list()) await registry.client.delete(id)
        await run(registry, describedServices('before'))
        faulty.requests.length = 0
        const child = spawn(process.execPath, [worker, String(faulty.port), caFile, 'after'], { stdio: 'inherit' })
        const exited = once(child, 'exit')
        faulty.fault = async (_, count) => {
          if (count !== deadly) return undefined
          child.kill('SIGKILL')
          if (fault === 'lost request') await exited
          return fault
        }
        const [code] = (await exited) as [number | null]
        if (code !== null) {
          // It has come to its end before the request at which it would have been killed.
          expect(code).toBe(0)
          requests = faulty.requests.length
        } else killedBefore++
        faulty.fault = () => undefined
        const second = await run(registry, wanted, { prune: true }, { replace: true })
        expect(second.results.map(({ outcome }) => outcome)).not.toContain('failed')
        expect(await identifiers()).toEqual(wanted.map(({ identifier }) => identifier).sort())
        expect(stepsOf(await planWith(registry, wanted, { prune: true }))).toEqual(
          wanted.map(({ identifier }) => `unchanged ${identifier}`),
        )
        const listed = await registry.client.list()
        for (const service of wanted) {
          const registered = await registry.client.get(findService(listed, service.identifier).id)
          expect(registered && compareStored(service, registered)).toEqual([])
        }
      }
      // List, 1 look at the parts to be lost, 2 creates, 1 update, 1 replacement of three requests, and 2 deletions.
      expect(killedBefore).toBe(10)
    },
  )
})

test('a Swagger document of 4 MiB goes through', async () => {
  const spec = new RawJson(`{"swagger":"2.0","info":{"title":"${'t'.repeat(4_000_000)}"},"paths":{}}`)
  expect(outcomesOf(await run(registry, [serviceOf('big', { api: { spec } })]))).toEqual(['create big: done'])
})
