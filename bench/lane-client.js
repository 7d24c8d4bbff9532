// Posts the same body many times: node lane-client.js <lane|lane-1|undici> <folder of bench/lane.js> <port> <events>
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [, , kind, folder, portText, countText] = process.argv
const { Lane, Pipelining, noProxy, Pool } = createRequire(import.meta.url)(join(folder, 'lane.cjs'))
const [port, count] = [Number(portText), Number(countText)]
const read = (name) => readFileSync(join(folder, name), 'utf8')
const body = readFileSync(join(folder, 'body.json'))
const lanes = 16

if (kind === 'undici') await withPool()
else await withLanes(kind === 'lane-1')

function withLanes(isSequential) {
  const route = {
    nodePort: port,
    gatewayHost: 'gateway.kyma.local',
    clientCertificate: { chain: read('client.crt'), key: read('client.key') },
    certificateHosts: ['gateway.kyma.local'],
    resolve: [{ host: 'gateway.kyma.local', port: null, address: '127.0.0.1' }],
    trust: { ca: read('ca.crt'), caOnly: true, rootFiles: [], systemRootFiles: [], insecure: false },
    proxy: noProxy,
    timeoutMs: 30_000,
    connections: lanes,
  }
  const pipelining = new Pipelining(() => console.error('the server drops pipelined requests'))
  if (isSequential) pipelining.giveUp()
  const deps = {
    pipelining,
    monotonic: () => performance.now(),
    trace: undefined,
    signal: new AbortController().signal,
  }
  const url = new URL('https://gateway.kyma.local/shop/v1/events')
  let unsent = count
  let answered = 0
  const open = new Set()
  const begin = () => {
    const fill = () => {
      while (unsent > 0 && lane.capacity > 0) {
        unsent--
        lane.send(body, undefined)
      }
    }
    const lane = new Lane(
      route,
      url,
      {
        onResult: (_, result) => {
          if (result.kind === 'unanswered') {
            if (result.error !== undefined) throw result.error
            unsent++
          } else if (result.status !== 200) throw new Error(`${result.status} ${result.body}`)
          else answered++
        },
        onCapacity: fill,
        onEnd: (error) => {
          open.delete(lane)
          if (error !== undefined) throw error
          if (unsent > 0) begin()
        },
      },
      deps,
    )
    open.add(lane)
  }
  for (let i = 0; i < lanes; i++) begin()
  const check = setInterval(() => {
    if (answered < count) return
    clearInterval(check)
    for (const lane of open) lane.close()
  }, 5)
}

async function withPool() {
  const pool = new Pool(`https://gateway.kyma.local:${port}`, {
    connections: lanes,
    pipelining: 1,
    connect: {
      ca: read('ca.crt'),
      cert: read('client.crt'),
      key: read('client.key'),
      host: '127.0.0.1',
      servername: 'gateway.kyma.local',
      lookup: (_, options, callback) =>
        callback(null, options.all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4),
    },
  })
  let unsent = count
  const worker = async () => {
    while (unsent > 0) {
      unsent--
      const { statusCode, body: answer } = await pool.request({
        path: '/shop/v1/events',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      await answer.text()
      if (statusCode !== 200) throw new Error(String(statusCode))
    }
  }
  await Promise.all(Array.from({ length: lanes }, worker))
  await pool.close()
}
