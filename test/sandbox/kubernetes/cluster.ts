import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import type { Sandbox } from '../../../src/sandbox/sandbox.js'
import { send } from '../wire.js'

/** The contents of an answer that tests look at. */
export interface Shown {
  readonly [name: string]: unknown
  readonly kind?: string
  readonly message?: string
  readonly reason?: string
  readonly code?: number
  readonly metadata?: Metadata
  readonly items?: readonly Shown[]
  readonly status?: { readonly [name: string]: unknown }
}

export interface Metadata {
  readonly [name: string]: unknown
  readonly name?: string
  readonly uid?: string
  readonly resourceVersion?: string
}

export interface Event {
  readonly type: string
  readonly object: Shown
}

export interface WatchStream {
  readonly status: number
  readonly events: readonly Event[]
  /** Resolves once this many events have arrived. */
  reach(count: number): Promise<readonly Event[]>
  /** Resolves when the answer ends: true if it is complete. */
  readonly ended: Promise<boolean>
  close(): void
}

export interface ClusterWire {
  readonly server: string
  readonly token: string
  readonly ca: string
  readonly call: (
    method: string,
    path: string,
    body?: object,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<{ status: number; body: Shown }>
  readonly watch: (path: string) => Promise<WatchStream>
}

export const KYMA = '/apis/applicationconnector.kyma-project.io/v1alpha1'
export const TOKEN_REQUESTS = `${KYMA}/namespaces/default/tokenrequests`
export const APPLICATIONS = `${KYMA}/applications`
export const SECRETS = '/api/v1/namespaces/default/secrets'

export const tokenRequest = (name: string, more: object = {}): object => ({
  apiVersion: 'applicationconnector.kyma-project.io/v1alpha1',
  kind: 'TokenRequest',
  metadata: { name },
  ...more,
})
export const application = (name: string, more: object = {}): object => ({
  ...tokenRequest(name),
  kind: 'Application',
  spec: { description: '', labels: {}, services: [], ...more },
})

/** Sends HTTP requests to the API, with no other information than the kubeconfig. */
export function clusterWire({ ready }: Pick<Sandbox, 'ready'>): ClusterWire {
  const config = readFileSync(ready.kubeconfig, 'utf8')
  const field = (name: string): string => new RegExp(`${name}: (.*)`).exec(config)?.[1] ?? ''
  const server = field('server').replace('127.0.0.1', 'localhost')
  const ca = Buffer.from(field('certificate-authority-data'), 'base64').toString()
  const authorization = `Bearer ${field('token')}`
  return {
    server,
    ca,
    token: field('token'),
    async call(method, path, body, headers = {}) {
      const text = body === undefined ? undefined : JSON.stringify(body)
      const type = { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }
      const reply = await send(server + path, {
        method,
        ca,
        headers: { authorization, ...(text !== undefined && type), ...headers },
        ...(text !== undefined && { body: text }),
      })
      const isJson = reply.headers['content-type'] === 'application/json'
      return { status: reply.status, body: isJson ? (JSON.parse(reply.body) as Shown) : { message: reply.body } }
    },
    watch: (path) =>
      new Promise((resolve, reject) => {
        const sent = request(server + path, { host: '127.0.0.1', ca, agent: false, headers: { authorization } })
        sent.on('error', reject)
        sent.on('response', (response) => {
          resolve(follow(response))
        })
        sent.end()
      }),
  }
}

function follow(response: IncomingMessage): WatchStream {
  const events: Event[] = []
  let [text, check] = ['', (): void => undefined]
  response.on('data', (chunk: Buffer) => {
    const lines = (text + chunk.toString()).split('\n')
    text = lines.pop() ?? ''
    events.push(...lines.map((line) => JSON.parse(line) as Event))
    check()
  })
  response.on('error', () => undefined)
  const ended = new Promise<boolean>((resolve) => {
    response.on('close', () => {
      resolve(response.complete)
    })
  })
  return {
    status: response.statusCode ?? 0,
    events,
    reach: (count) =>
      new Promise((resolve, reject) => {
        check = () => {
          if (events.length >= count) resolve(events)
        }
        check()
        const late = (): void => {
          reject(new Error(`no ${count} events: ${JSON.stringify(events)}`))
        }
        setTimeout(late, 25_000).unref()
        void ended.then(late)
      }),
    ended,
    close: () => void response.destroy(),
  }
}

/** Asks again until the answer is the expected one, for 25 s. */
export async function eventually<T>(ask: () => Promise<T>, isIt: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 25_000
  for (;;) {
    const answer = await ask()
    if (isIt(answer)) return answer
    if (Date.now() > deadline) throw new Error(`the answer is still ${JSON.stringify(answer)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
