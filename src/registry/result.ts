import { type KyconnectError, ServicesFailedError } from '../errors.js'
import type { Place } from './place.js'
import type { Action } from './plan.js'

/** What became of one step of a plan. */
export interface ServiceResult {
  /** undefined for a service to delete that has none. */
  readonly identifier: string | undefined
  readonly name: string
  readonly action: Action
  /**
   * `unknown`: the run was interrupted before the answer, so the change may have been made. `skipped`: it was not tried, because something
   * before it failed.
   */
  readonly outcome: 'done' | 'failed' | 'unknown' | 'skipped'
  /** Where it is known. */
  readonly id: string | undefined
  /** What went wrong; at least one for `failed` and `unknown`, none for the others. */
  readonly problems: readonly Problem[]
}

/** One thing that went wrong, and where to correct it. */
export interface Problem {
  /** Of a refusal, the Registry's words. */
  readonly message: string
  /** The field that it is about; empty: the whole service. */
  readonly path: readonly (string | number)[]
  /** undefined for a service that no file describes. */
  readonly place: Place | undefined
  readonly hint?: string
}

/** A problem as a program reads it, in errors and in the documents of --json alike: unknown fields are left out. */
export function problemDocument({ message, path, place, hint }: Problem): object {
  return {
    message,
    ...(path.length === 0 ? {} : { field: path.join('.') }),
    ...place,
    ...(hint === undefined ? {} : { hint }),
  }
}

/** What became of a plan. */
export interface Applied {
  /** In the order of the plan. */
  readonly results: readonly ServiceResult[]
  /** Why the run ended before all steps were tried: it would have failed for each of the rest. */
  readonly ended: KyconnectError | undefined
}

/** What is reported while a plan is applied: each step that sends something, as it begins and as it ends. */
export type ApplyEvent =
  | { readonly event: 'started'; readonly action: Action; readonly name: string }
  | { readonly event: 'finished'; readonly result: ServiceResult; readonly finished: number; readonly total: number }

/** The error that a run ends with; undefined when every step succeeded. */
export function errorOf({ results, ended }: Applied): KyconnectError | undefined {
  if (ended !== undefined) return ended
  const failed = results.filter(({ outcome }) => outcome === 'failed')
  if (failed.length === 0) return undefined
  const changes = results.filter(({ action }) => action !== 'unchanged').length
  const skipped = results.filter(({ outcome }) => outcome === 'skipped').length
  const withheld =
    skipped === 0 ? '' : `, and ${skipped === 1 ? '1 was' : `${skipped} were`} not deleted because of that`
  return new ServicesFailedError(`${failed.length} of ${changes} changes failed${withheld}`, {
    details: {
      failures: failed.map(({ identifier, name, action, id, problems }) => ({
        identifier,
        name,
        action,
        id,
        problems: problems.map(problemDocument),
      })),
      skipped,
    },
    hints: ['correct the problems, and apply the files again: what succeeded is not done twice'],
  })
}
