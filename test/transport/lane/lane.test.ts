import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Route } from '../../../src/transport/route.js'
import {
  makeAuthority,
  makeServerCertificate,
  type ServerCertificate,
  temporaryFolder,
} from '../../support/certificates.js'
import { laneRoute, runLane, tokensBy, wronglyAnswered } from '../../support/lane-runs.js'
import { echo, type LaneServer, type Script, startLaneServer } from '../../support/lane-server.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let certificate: ServerCertificate
let ca = ''
let server: LaneServer | undefined

beforeAll(async () => {
  folder = await temporaryFolder('lane')
  const authority = await makeAuthority(folder.path, 'ca', 'ec')
  ca = await readFile(authority.certificateFile, 'utf8')
  certificate = await makeServerCertificate(folder.path, authority, ['gateway.kyma.local'])
})
afterAll(() => folder.remove())
afterEach(async () => {
  await server?.stop()
  server = undefined
})

async function serve(script: Script, more: Partial<Route> = {}): Promise<Route> {
  server = await startLaneServer(certificate, script)
  return laneRoute(server.port, ca, more)
}

const echoAll: Script = (posts, { socket }) => {
  socket.write(posts.map((post) => echo(post)).join(''))
}

function events(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `{"number":${index}}`)
}

describe('a lane', () => {
  test('sends a POST of JSON, and gives its answer', async () => {
    let head = ''
    const route = await serve((posts, connection) => {
      head = posts[0]?.head ?? ''
      echoAll(posts, connection)
    })
    const run = runLane(route, ['{"größe":1}'])
    expect(await run.ended).toBeUndefined()
    expect(head.split('\r\n')).toEqual([
      'POST /shop/v1/events HTTP/1.1',
      `host: gateway.kyma.local:${route.nodePort ?? 0}`,
      'user-agent: kyconnect',
      'content-type: application/json',
      'content-length: 13',
    ])
    expect(run.results).toEqual([
      {
        token: '{"größe":1}',
        result: { kind: 'answered', status: 200, contentType: 'application/json', body: Buffer.from('{"größe":1}') },
      },
    ])
  })

  test('answers every one of 2,000 requests with its own answer, at most 16 of them unanswered at once', async () => {
    const run = runLane(await serve(echoAll), events(2000))
    expect(await run.ended).toBeUndefined()
    expect(tokensBy(run.results).answered).toEqual(events(2000))
    expect(wronglyAnswered(run.results)).toEqual([])
    expect(run.maxPending()).toBe(16)
  })
})
