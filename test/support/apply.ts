import { type ApplyDeps, applyPlan, type PrepareDeps, preparePlan } from '../../src/registry/apply.js'
import type { DesiredService } from '../../src/registry/desired-service.js'
import { type Plan, planServices, type PlanOptions } from '../../src/registry/plan.js'
import type { Applied } from '../../src/registry/result.js'
import type { OpenRegistry } from './registry.js'

export const usualPlan: PlanOptions = {
  set: 'shop',
  adopt: false,
  prune: false,
  refreshCredentials: false,
  full: false,
}

export function planWith(
  registry: OpenRegistry,
  services: readonly DesiredService[],
  more: Partial<PlanOptions> = {},
): Promise<Plan> {
  return planServices(registry.client, services, { ...usualPlan, ...more })
}

export type Deps = ApplyDeps & PrepareDeps

export async function applyWith(registry: OpenRegistry, plan: Plan, more: Partial<Deps> = {}): Promise<Applied> {
  const deps: Deps = {
    client: registry.client,
    redactor: registry.redactor,
    resolveSecret: ({ text }) => `secret of ${text}`,
    concurrency: 8,
    replace: false,
    report: () => undefined,
    sleep: () => Promise.resolve(),
    ...more,
  }
  return applyPlan(await preparePlan(plan, deps), deps)
}

/** Plans and applies. */
export async function run(
  registry: OpenRegistry,
  services: readonly DesiredService[],
  options: Partial<PlanOptions> = {},
  deps: Partial<Deps> = {},
): Promise<Applied> {
  return applyWith(registry, await planWith(registry, services, options), deps)
}

/** `update orders` for each step. */
export function stepsOf({ steps }: Plan): string[] {
  return steps.map((step) => {
    const { identifier, name } = step.action === 'delete' ? step.listed : step.service
    return `${step.action} ${identifier ?? name}`
  })
}

/** `create orders: done` for each result. */
export function outcomesOf({ results }: Applied): string[] {
  return results.map(({ action, identifier, name, outcome }) => `${action} ${identifier ?? name}: ${outcome}`)
}
