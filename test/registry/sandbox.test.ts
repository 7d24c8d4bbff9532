import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { applyPlan, type ApplyDeps } from '../../src/registry/apply.js'
import type { DesiredService } from '../../src/registry/desired-service.js'
import { type Plan, planServices, type PlanOptions } from '../../src/registry/plan.js'
import type { Applied } from '../../src/registry/result.js'
import type { Sandbox } from '../../src/sandbox/sandbox.js'
import { startTestSandbox } from '../sandbox/wire.js'
import { openSandboxRegistry, type OpenRegistry } from '../support/registry.js'
import { asyncApi, documentation, openApi, secret, serviceOf } from '../support/services.js'

let sandbox: Sandbox
let registry: OpenRegistry
const log: string[] = []

beforeAll(async () => {
  sandbox = await startTestSandbox({ log: (line) => log.push(line) })
  registry = await openSandboxRegistry(sandbox, 'demo')
})
afterEach(async () => {
  for (const { id } of await registry.client.list()) await registry.client.delete(id)
})
afterAll(async () => {
  await registry.close()
  await sandbox.close()
})

const usual: PlanOptions = { set: 'shop', adopt: false, prune: false, refreshCredentials: false }
const planFor = (services: readonly DesiredService[], more: Partial<PlanOptions> = {}): Promise<Plan> =>
  planServices(registry.client, services, { ...usual, ...more })
const apply = (plan: Plan, more: Partial<ApplyDeps> = {}): Promise<Applied> =>
  applyPlan(plan, {
    client: registry.client,
    redactor: registry.redactor,
    resolveSecret: ({ text }) => `secret of ${text}`,
    concurrency: 8,
    replace: false,
    report: () => undefined,
    sleep: () => Promise.resolve(),
    ...more,
  })
const actionsOf = ({ steps }: Plan): string[] => steps.map(({ action }) => action)

describe('a set of services', () => {
  test('is created, and is then unchanged with one request', async () => {
    const services = [
      serviceOf('orders', { api: { spec: openApi }, labels: { team: 'a' } }),
      serviceOf('events', { events: { spec: asyncApi }, documentation }),
      serviceOf('secured', {
        api: {
          credentials: { basic: { username: secret('KYCONNECT_SECRET_U'), password: secret('KYCONNECT_SECRET_P') } },
        },
      }),
    ]
    const first = await planFor(services)
    expect(actionsOf(first)).toEqual(['create', 'create', 'create'])
    expect((await apply(first)).results.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done'])
    log.length = 0
    expect(actionsOf(await planFor(services))).toEqual(['unchanged', 'unchanged', 'unchanged'])
    expect(log.filter((line) => line.includes('/metadata/'))).toHaveLength(1)
  })
})
