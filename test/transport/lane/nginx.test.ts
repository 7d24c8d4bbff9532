/** Lanes through the real NGINX, as Kyma's ingress is configured. */
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Route } from '../../../src/transport/route.js'
import {
  type Authority,
  makeAuthority,
  makeServerCertificate,
  makeClientCertificate,
  type ServerCertificate,
  temporaryFolder,
} from '../../support/certificates.js'
import { laneRoute, publishAll, runLane } from '../../support/lane-runs.js'
import { type NginxGateway, startNginxGateway } from '../../support/nginx.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let authority: Authority
let certificate: ServerCertificate
let gateway: NginxGateway | undefined
let service: http.Server | undefined
/** The bodies that the service received. */
let received: string[] = []

beforeAll(async () => {
  folder = await temporaryFolder('lane-nginx')
  authority = await makeAuthority(folder.path, 'ca', 'rsa')
  certificate = await makeServerCertificate(folder.path, authority, ['gateway.kyma.local'])
})
afterAll(() => folder.remove())
afterEach(async () => {
  await gateway?.stop()
  service?.closeAllConnections()
  await new Promise<void>((resolve) => {
    if (service === undefined) resolve()
    else
      service.close(() => {
        resolve()
      })
  })
  service = gateway = undefined
  received = []
})

async function start(keepaliveRequests: number): Promise<Route> {
  service = http.createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      received.push(body)
      response.writeHead(200, { 'content-type': 'application/json' }).end(body)
    })
  })
  await new Promise<void>((resolve) => service?.listen(0, '127.0.0.1', resolve))
  gateway = await startNginxGateway({
    servicesUrl: `http://127.0.0.1:${(service.address() as AddressInfo).port}`,
    serverCertificateFile: certificate.certificateFile,
    serverKeyFile: certificate.keyFile,
    clientCaFile: authority.certificateFile,
    apps: ['shop'],
    keepaliveRequests,
  })
  return laneRoute(gateway.port, await readFile(authority.certificateFile, 'utf8'))
}

test('every event reaches the service exactly once although each connection is closed after 100 requests', async () => {
  const route = {
    ...(await start(100)),
    clientCertificate: await makeClientCertificate(folder.path, authority, 'shop'),
  }
  const bodies = Array.from({ length: 5000 }, (_, index) => `{"number":${index}}`)
  const { answers, fates, errors, timesGivenUp } = await publishAll(route, bodies, 4)
  expect([...answers].filter(([body, given]) => given.length !== 1 || given[0] !== body)).toEqual([])
  expect(answers.size).toBe(bodies.length)
  expect(errors).toEqual([])
  // NGINX closed some fifty connections with requests pending, and processed none of these.
  expect(fates['not-processed'].size).toBeGreaterThan(50)
  expect(fates['maybe-processed'].size).toBe(0)
  expect([...received].sort()).toEqual([...bodies].sort())
  expect(timesGivenUp).toBe(0)
})

test.each([
  ['no certificate', undefined, 400, 'No required SSL certificate was sent'],
  ['a certificate of another App', 'other', 403, '403 Forbidden'],
])('the page that refuses %s is an answer', async (_, cn, status, text) => {
  const route = await start(100)
  const run = runLane(
    { ...route, clientCertificate: cn === undefined ? null : await makeClientCertificate(folder.path, authority, cn) },
    ['{}'],
  )
  await run.ended
  expect(run.results).toHaveLength(1)
  const result = run.results[0]?.result
  expect(result).toMatchObject({ kind: 'answered', status, contentType: 'text/html' })
  expect(result?.kind === 'answered' ? result.body.toString() : '').toContain(text)
  expect(received).toEqual([])
})
