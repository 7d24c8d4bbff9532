import {
  AnswerMalformedError,
  ConfirmationNeededError,
  InterruptedError,
  KyconnectError,
  NetworkError,
  ServiceFailedError,
  TerminatedError,
  TimeoutError,
} from '../errors.js'
import type { Redactor } from '../redaction.js'
import type { Refused, RegistryClient } from './client.js'
import type { DesiredService } from './desired-service.js'
import { contentDigest } from './digest.js'
import { inParallel } from './in-parallel.js'
import { rememberedOf, setOf } from './listed-service.js'
import { fetchedFrom } from './parts.js'
import type { Plan, Step } from './plan.js'
import { type Bodies, prepareBodies, type ResolveSecret } from './prepare.js'
import { refusedFields } from './refused-fields.js'
import type { Applied, ApplyEvent, Problem, ServiceResult } from './result.js'

export interface PrepareDeps {
  readonly redactor: Redactor
  readonly resolveSecret: ResolveSecret
  /** Whether services may be deleted and created where a PUT would not do. */
  readonly replace: boolean
}

/** A plan that is ready to be carried out. */
export interface PreparedPlan {
  readonly plan: Plan
  readonly bodies: Bodies
}

export interface ApplyDeps {
  readonly client: RegistryClient
  /** Requests at a time. */
  readonly concurrency: number
  readonly report: (event: ApplyEvent) => void
  /** Rejects when the run is interrupted. */
  readonly sleep: (milliseconds: number) => Promise<void>
}

/** Milliseconds until the list is read a second time for a service whose registration got no answer. */
const secondLookMs = 1000

/**
 * Checks everything that could prevent a plan before a person is asked about it and before anything is sent: replacements, secrets, sizes.
 * @throws ConfirmationNeededError, ServiceFilesError
 */
export async function preparePlan(plan: Plan, deps: PrepareDeps): Promise<PreparedPlan> {
  checkReplacements(plan, deps.replace)
  return { plan, bodies: await prepareBodies(plan, deps.resolveSecret, deps.redactor) }
}

/**
 * Carries out a plan: creates and updates first, then replaces, and deletes only when all of that succeeded. A step that fails does not
 * stop the others. Nothing is undone; applying the files again continues.
 */
export function applyPlan(prepared: PreparedPlan, deps: ApplyDeps): Promise<Applied> {
  return new Run(prepared, deps).carryOut()
}

/** @throws ConfirmationNeededError when a plan replaces services, and that is not allowed */
export function checkReplacements({ steps }: Plan, replace: boolean): void {
  const replaced = steps.flatMap((step) => (step.action === 'replace' ? [step] : []))
  if (replace || replaced.length === 0) return
  const names = replaced.map(({ service, lost }) => `"${service.identifier}" (${lost.join(', ')})`).join(', ')
  throw new ConfirmationNeededError(
    `the last of spec, events and documentation is taken away from ${names}: the Registry does that only for a service that is deleted and created again`,
    {
      details: { replaced: replaced.map(({ service, lost }) => ({ identifier: service.identifier, lost })) },
      hints: ['the service gets a new id, and bindings to it break; to accept that, add --replace'],
    },
  )
}

/** How a step ended. `isUnknown`: the run was interrupted before the answer, and the change may have been made. */
type Ending =
  | { readonly id: string | undefined }
  | { readonly problems: readonly Problem[]; readonly id: string | undefined; readonly isUnknown?: boolean }

class Run {
  readonly #plan: Plan
  readonly #deps: ApplyDeps
  readonly #bodies: Bodies
  readonly #total: number
  readonly #results = new Map<Step, ServiceResult>()
  #ended: KyconnectError | undefined
  #finished = 0

  constructor({ plan, bodies }: PreparedPlan, deps: ApplyDeps) {
    this.#plan = plan
    this.#deps = deps
    this.#bodies = bodies
    this.#total = plan.steps.filter(({ action }) => action !== 'unchanged').length
  }

  async carryOut(): Promise<Applied> {
    await this.#all('create', 'update')
    await this.#all('replace')
    const hasFailed = [...this.#results.values()].some(({ outcome }) => outcome === 'failed')
    if (!hasFailed) await this.#all('delete')
    return { results: this.#plan.steps.map((step) => this.#resultOf(step)), ended: this.#ended }
  }

  #resultOf(step: Step): ServiceResult {
    const outcome = step.action === 'unchanged' ? 'done' : 'skipped'
    return this.#results.get(step) ?? { ...subjectOf(step), outcome, id: idOf(step), problems: [] }
  }

  async #all(...actions: readonly Step['action'][]): Promise<void> {
    const steps = this.#plan.steps.filter(({ action }) => actions.includes(action))
    await inParallel(steps, this.#deps.concurrency, async (step) => {
      if (this.#ended !== undefined) return
      const subject = subjectOf(step)
      this.#deps.report({ event: 'started', action: step.action, name: subject.identifier ?? subject.name })
      const ending = await this.#guarded(step, () => this.#carryOut(step))
      const result: ServiceResult =
        'problems' in ending
          ? {
              ...subject,
              outcome: ending.isUnknown === true ? 'unknown' : 'failed',
              id: ending.id,
              problems: ending.problems,
            }
          : { ...subject, outcome: 'done', id: ending.id, problems: [] }
      this.#results.set(step, result)
      this.#finished++
      this.#deps.report({ event: 'finished', result, finished: this.#finished, total: this.#total })
    })
  }

  /** A step whose errors end as its problems, and end the run where they would be the same for every step. */
  async #guarded(step: Step, work: () => Promise<Ending>): Promise<Ending> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof KyconnectError)) throw error
      if (!isAboutOneRequest(error) && this.#ended === undefined)
        this.#ended = error.addHint('run the command again: what succeeded is not done twice')
      if (error instanceof InterruptedError || error instanceof TerminatedError) {
        const message = `${error.message} before the answer`
        return { problems: [{ ...problemOf(error, step), message }], id: idOf(step), isUnknown: true }
      }
      return { problems: [problemOf(error, step)], id: idOf(step) }
    }
  }

  async #carryOut(step: Step): Promise<Ending> {
    switch (step.action) {
      case 'unchanged':
        return { id: step.listed.id }
      case 'create':
        return this.#create(step.service)
      case 'update': {
        const { service, listed } = step
        const answer = await this.#deps.client.replace(listed.id, this.#bodies.final(service))
        switch (answer.outcome) {
          case 'replaced':
            return { id: listed.id }
          // Somebody deleted it since the list was read.
          case 'unknown':
            return this.#create(service)
          case 'refused':
            return { problems: refusalProblems(answer, service), id: listed.id }
        }
        break
      }
      case 'replace':
        return this.#recreate(step.service, step.listed.id)
      case 'delete': {
        const answer = await this.#deps.client.delete(step.listed.id)
        if (answer.outcome === 'deleted') return { id: step.listed.id }
        return { problems: [problemOf(answer.error, step)], id: step.listed.id }
      }
    }
  }

  async #recreate(service: DesiredService, id: string): Promise<Ending> {
    const { client } = this.#deps
    // A service that the Registry would refuse must not cost the one that is there. A run that ends here is continued by the next one.
    const rehearsal = await client.replace(id, this.#bodies.provisional(service))
    if (rehearsal.outcome === 'refused') return { problems: refusalProblems(rehearsal, service), id }
    const deletion = await client.delete(id)
    if (deletion.outcome === 'refused') return { problems: refusalProblems(deletion, service), id }
    // The point of no return: the old service is gone, and its identifier is free. The next run creates what is missing.
    const ending = await this.#guarded({ action: 'create', service }, () => this.#create(service))
    if (!('problems' in ending)) return ending
    const deleted = 'the old service is deleted already: apply the files again, so that the new one is registered'
    return {
      ...ending,
      problems: ending.problems.map((problem) => ({
        ...problem,
        hint: problem.hint === undefined ? deleted : `${problem.hint}; ${deleted}`,
      })),
    }
  }

  async #create(service: DesiredService): Promise<Ending> {
    const { client, sleep } = this.#deps
    const body = this.#bodies.final(service)
    for (let attempt = 1; ; attempt++) {
      const creation = await client.create(body)
      if (creation.outcome === 'created') return { id: creation.id }
      if (creation.outcome === 'refused') {
        // The App itself is unknown.
        if (creation.status === 404) throw creation.error
        // An earlier answer may have been lost, or another run applies the same files. A 500 does not say what was done.
        const found = creation.status === 409 || creation.status === 500 ? await this.#findOurs(service) : undefined
        return found === undefined ? { problems: refusalProblems(creation, service), id: undefined } : { id: found }
      }
      let found = await this.#findOurs(service)
      if (found === undefined) {
        await sleep(secondLookMs)
        found = await this.#findOurs(service)
      }
      if (found !== undefined) return { id: found }
      if (!creation.maySendAgain || attempt > 1)
        return { problems: [problemOf(creation.error, { action: 'create', service })], id: undefined }
    }
  }

  /** The id of the service if it is registered exactly as we want it, by whatever request. */
  async #findOurs(service: DesiredService): Promise<string | undefined> {
    const listed = await this.#deps.client.list()
    return listed.find(
      (candidate) =>
        candidate.identifier === service.identifier &&
        setOf(candidate) === this.#plan.set &&
        rememberedOf(candidate)?.digest === contentDigest(service),
    )?.id
  }
}

function subjectOf(step: Step): Pick<ServiceResult, 'identifier' | 'name' | 'action'> {
  const { identifier, name } = step.action === 'delete' ? step.listed : step.service
  return { identifier, name, action: step.action }
}

function idOf(step: Step): string | undefined {
  return step.action === 'create' ? undefined : step.listed.id
}

/**
 * Whether another request may still succeed. That is not so when no connection can be made, when the certificate or the App is refused,
 * and when the user interrupts.
 */
function isAboutOneRequest(error: KyconnectError): boolean {
  if (error instanceof NetworkError || error instanceof TimeoutError) return error.requestSent
  // With a status, it is a redirect of the whole endpoint.
  if (error instanceof AnswerMalformedError) return error.details?.['status'] === undefined
  return error instanceof ServiceFailedError
}

function problemOf(error: KyconnectError, step: Step): Problem {
  const [hint] = error.hints
  return {
    message: error.message,
    path: [],
    place: step.action === 'delete' ? undefined : step.service.place,
    ...(hint === undefined ? {} : { hint }),
  }
}

/** A refusal as problems of fields, with their places. */
function refusalProblems({ said, status, error }: Refused, service: DesiredService): readonly Problem[] {
  if (said === '') return [problemOf(error, { action: 'create', service })]
  return refusedFields(said, status, service).map(({ path, text }) => {
    const hint = status === 502 ? fetchHint(service) : undefined
    return { message: text, path, place: service.placeOf(path), ...(hint === undefined ? {} : { hint }) }
  })
}

/** The Registry fetches a specification within the cluster, in 5 s (docs/contract.md §9). */
function fetchHint(service: DesiredService): string | undefined {
  switch (fetchedFrom(service)) {
    case 'specificationUrl':
      return 'the Registry fetches the specification from this URL, within 5 s and from inside the cluster: check that it can, or put the specification into a file and name it in spec'
    case 'targetUrl':
      return 'for OData, the Registry fetches $metadata below this URL, within 5 s and from inside the cluster: check that it can, or give a spec'
    case undefined:
      return undefined
  }
}
