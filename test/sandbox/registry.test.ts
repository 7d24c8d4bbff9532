import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { isServiceUrl } from '../../src/sandbox/registry/service-url.js'
import { fetchSpecification } from '../../src/sandbox/registry/specification.js'
import { pair, type Identity } from './identity.js'
import { startTestSandbox, stringIn, wireTo, type Reply } from './wire.js'

let sandbox: Sandbox
let identity: Identity
const servers: Server[] = []
beforeAll(async () => {
  sandbox = await startTestSandbox()
  identity = await pair(sandbox, 'demo')
})
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})
afterAll(() => sandbox.close())

const SERVICES = '/demo/v1/metadata/services'
const call = (method: string, path: string, body?: string): Promise<Reply> =>
  wireTo(sandbox).gateway(path, { ...identity, method, ...(body !== undefined && { body }) })
/** A definition with the raw text `more` in it. */
const definition = (more: string): string => `{"provider":"p","name":"n","description":"d",${more}}`
const create = (more: string): Promise<Reply> => call('POST', SERVICES, definition(more))
async function createAndRead(more: string): Promise<string> {
  const { body } = await create(more)
  return (await call('GET', `${SERVICES}/${stringIn(body, 'id')}`)).body
}
const api = (more: string): string => `"api":{"targetUrl":"https://orders.example"${more}}`

/** Serves on a free loopback port. */
function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    })
  })
}

describe('a definition', () => {
  test('keeps the numbers, escapes and order of keys of its specs', async () => {
    const spec = '{"openapi":"3.0.0","9":1.0,"10":1e2,"x":12345678901234567890,"a":"\\u00e4\\/"}'
    expect(await createAndRead(`${api(`,"spec":${spec}`)},"events":{"spec":${spec}}`)).toContain(
      `"api":{"targetUrl":"https://orders.example","spec":${spec}},"events":{"spec":${spec}}`,
    )
  })

  test('may have Swagger without a host: it gets one', async () => {
    expect(await createAndRead(api(',"spec":{"swagger":"2.0","basePath":"/v1"}'))).toMatch(
      /"spec":\{"schemes":\["http"\],"swagger":"2\.0","host":"app-demo-[0-9a-f-]{36}\.kyma-integration\.svc\.cluster\.local","paths":null\}/,
    )
  })

  test('has its labels sorted, and its own connected-app overwritten', async () => {
    expect(await createAndRead(`${api('')},"labels":{"z":"1","9":"2","10":null,"connected-app":"mine"}`)).toContain(
      '"labels":{"10":"","9":"2","connected-app":"demo","z":"1"}',
    )
  })

  test.each([
    [
      '"credentials":{"basic":{"username":"u","password":"p"},"oauth":{"url":"https://a.b","clientId":"i","clientSecret":"s"}}',
      'api.Credentials is invalid: to many authentication methods provided',
    ],
    [
      '"credentials":{"basic":{"username":"u","password":"p","csrfInfo":{}}}',
      'Incorrect structure of service definition, tokenEndpointURL field cannot be empty',
    ],
    [
      '"credentials":{"oauth":{"url":"https://50%/","clientId":"i","clientSecret":"s","csrfInfo":{"tokenEndpointURL":"a b"}}}',
      'Incorrect structure of service definition, url: https://50%!/(MISSING) does not validate as url;tokenEndpointURL: a b does not validate as url',
    ],
  ])('with %s is refused', async (more, text) => {
    const { status, body } = await create(api(`,${more}`))
    expect([status, body]).toEqual([400, `{"code":400,"error":"Failed to validate request body, ${text}"}\n`])
  })

  test('keeps its generated certificate until the name changes', async () => {
    const certgen = (name: string): string => api(`,"credentials":{"certificateGen":{"commonName":"${name}"}}`)
    const path = `${SERVICES}/${stringIn((await create(certgen('one'))).body, 'id')}`
    const certificate = async (name: string): Promise<string> => {
      expect((await call('PUT', path, definition(certgen(name)))).status).toBe(200)
      return /"certificate":"([^"]+)"/.exec((await call('GET', path)).body)?.[1] ?? 'none'
    }
    const first = await certificate('one')
    expect(await certificate('one')).toBe(first)
    expect(await certificate('two')).not.toBe(first)
  })

  test('with an identifier in use is refused even when both come at once', async () => {
    const both = await Promise.all([1, 2].map(() => create(`${api('')},"identifier":"twice"`)))
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409])
  })

  test('does not return its secrets', async () => {
    const credentials = ',"credentials":{"basic":{"username":"the-user","password":"the-secret"}}'
    const { body } = await create(api(credentials))
    const shown = (await call('GET', `${SERVICES}/${stringIn(body, 'id')}`)).body
    expect(shown).toContain('"credentials":{"basic":{"username":"********","password":"********"}}')
  })
})

describe('a specification', () => {
  test('is fetched only when a definition asks for it, and then once', async () => {
    const asked: string[] = []
    const address = await serve((request, response) => {
      asked.push(request.url ?? '')
      response.end('{"openapi" : "3.0.0", "x": 1.0}')
    })
    const shown = await createAndRead(`"api":{"targetUrl":"${address}/target","specificationUrl":"${address}/spec"}`)
    expect(shown).toContain('"spec":{"openapi":"3.0.0","x":1.0}')
    await createAndRead(`"api":{"targetUrl":"${address}/target"}`)
    expect(asked).toEqual(['/spec'])
  })

  test('is fetched over redirects, up to a limit', async () => {
    let asked = 0
    const address = await serve((request, response) => {
      asked++
      if (request.url === '/end') return response.end('there')
      const location = request.url === '/start' ? '/end' : '/loop'
      return response.writeHead(302, { location }).end()
    })
    expect(await fetchSpecification(`${address}/start`)).toBe('there')
    asked = 0
    await expect(fetchSpecification(`${address}/loop`)).rejects.toThrow('stopped after 10 redirects')
    expect(asked).toBe(11)
  })

  test('that does not come in time is given up', async () => {
    const slow = await serve(() => undefined)
    const drip = await serve((_request, response) => void response.write('{'))
    for (const address of [slow, drip]) {
      await expect(fetchSpecification(address, 100)).rejects.toThrow(
        `Fetching API spec from ${address} failed, Get "${address}": context deadline exceeded`,
      )
    }
  })

  test('that is too large is given up', async () => {
    const address = await serve((_request, response) => response.end('x'.repeat(6 * 1024 * 1024)))
    await expect(fetchSpecification(address)).rejects.toThrow('the specification is larger than 5242880 bytes')
  })

  test.each([
    ['ftp://orders.example/x', 'unsupported protocol scheme \\"ftp\\"'],
    ['/only/a/path', 'unsupported protocol scheme \\"\\"'],
  ])('at %s cannot be fetched, and the answer says so', async (url, reason) => {
    const { status, body } = await create(api(`,"specificationUrl":"${url}"`))
    const id = stringIn(body, 'error').split(' ')[7] ?? ''
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect([status, body]).toEqual([
      502,
      `{"code":502,"error":"Determining API spec for service with ID ${id} failed, Fetching API spec from ${url} failed, Get \\"${url}\\": ${reason}"}\n`,
    ])
  })

  test('at a text that is not a URL is a 502, too', async () => {
    expect((await create(api(',"specificationUrl":"http://["'))).status).toBe(502)
  })
})

test('the redirect leads to the API document of the Registry', async () => {
  const { headers } = await call('GET', '/demo/v1/metadata')
  const { status, body } = await call('GET', headers.location ?? '')
  expect([status, body.split('\n', 1)]).toEqual([200, ['swagger: "2.0"']])
})

test('the Registry accepts no URL of 2083 characters', () => {
  expect(isServiceUrl('https://a.b/'.padEnd(2082, 'x'))).toBe(true)
  expect(isServiceUrl('https://a.b/'.padEnd(2083, 'x'))).toBe(false)
})

test.each([
  ['https://a.example', true],
  ['a.b', false],
  ['a.bc', true],
  ['localhost', false],
  ['localhost:80', true],
  ['http://localhost', true],
  ['http://[::1]:80/x', true],
  ['http://', false],
  ['http:///x', false],
  ['.a.b', false],
  ['a.b:123456', false],
  ['https://a b', false],
  ['https://a.b/x y', false],
  ['https://-', false],
  ['a/b', false],
  ['%zz', false],
  ['https://a.example/%zz', false],
  ['https://a.example/%4', false],
  ['a.example/%', false],
  ['https://a.example/x#%zz', false],
  ['https://a%zz@a.example', false],
  ['https://a.example/%C3%a9', true],
  ['https://a.example/?x=%zz', true],
  ['https://a.example/?x=%zz#%zz', false],
  ['http://127.1', false],
  ['http://127.1:8080/x', false],
  ['127.0.1', false],
  ['http://127.0.0.1', true],
  ['127.0.0.1:80', true],
  ['http://10.example', true],
])('the Registry accepts %s as a URL: %s', (text, expected) => {
  expect(isServiceUrl(text)).toBe(expected)
})
