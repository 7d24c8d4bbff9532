import { KyconnectError, ServiceFilesError } from '../errors.js'
import type { Redactor } from '../redaction.js'
import { maxBodyBytes, partSizes, provisionalBody, referencesIn, requestBody, type Secrets } from './body.js'
import type { SecretReference } from './content.js'
import type { DesiredService } from './desired-service.js'
import type { Plan } from './plan.js'
import { type Problem, problemDocument } from './result.js'

/** Reads a secret. @throws KyconnectError when there is none, or it cannot be used */
export type ResolveSecret = (reference: SecretReference) => string | Promise<string>

/** Builds the bodies of a plan. */
export interface Bodies {
  /** Registers or updates a service. */
  final(service: DesiredService): string
  /** Leaves a service as one that the next run must still write. */
  provisional(service: DesiredService): string
}

/**
 * Gets ready what does not need the Registry: reads the secrets of all services that will be written, and measures the bodies. From
 * here on, no output shows the secrets.
 * @throws ServiceFilesError with all problems
 */
export async function prepareBodies(plan: Plan, resolveSecret: ResolveSecret, redactor: Redactor): Promise<Bodies> {
  const { set, steps } = plan
  const services = steps.flatMap((step) =>
    step.action === 'unchanged' || step.action === 'delete' ? [] : [step.service],
  )
  const problems: Problem[] = []
  const secrets = new Map<string, string>()
  for (const service of services) {
    for (const { path, reference } of referencesIn(service)) {
      try {
        const secret = secrets.get(keyOf(reference)) ?? (await resolveSecret(reference))
        secrets.set(keyOf(reference), secret)
      } catch (error) {
        if (!(error instanceof KyconnectError)) throw error
        const [hint] = error.hints
        problems.push({
          message: error.message,
          path,
          place: service.placeOf(path),
          ...(hint === undefined ? {} : { hint }),
        })
      }
    }
  }
  learn(secrets.values(), plan, redactor)
  const secretOf: Secrets = (reference) => secrets.get(keyOf(reference)) ?? ''
  const bodies: Bodies = {
    final: (service) => requestBody(service, set, secretOf),
    provisional: (service) => provisionalBody(service, set, secretOf),
  }
  // A body is built again when it is sent: several hundred of 5 MiB would not fit into memory.
  for (const service of services) problems.push(...sizeProblems(service, Buffer.byteLength(bodies.final(service))))
  if (problems.length > 0) throw problemsError(problems)
  return bodies
}

function keyOf({ source }: SecretReference): string {
  return JSON.stringify(source)
}

/** A value that the plan shows as plain text is not learned: redacting a user name that is a service's name, too, only garbles the output. */
function learn(secrets: Iterable<string>, { set, steps }: Plan, redactor: Redactor): void {
  const shown = steps.flatMap((step) => {
    const { identifier = '', name } = step.action === 'delete' ? step.listed : step.service
    return [identifier, name, step.action === 'delete' ? '' : step.service.place.file]
  })
  const plain = [set, ...shown].join('\n')
  for (const secret of secrets) if (!plain.includes(secret)) redactor.learnSecret(secret)
}

function sizeProblems(service: DesiredService, bytes: number): Problem[] {
  if (bytes <= maxBodyBytes) return []
  const [largest] = partSizes(service)
  const path = largest?.path ?? []
  const part = largest === undefined ? '' : `: ${path.join('.')} has ${mebibytes(largest.bytes)}`
  return [
    {
      message: `the service has ${mebibytes(bytes)}, and the gateway takes at most ${mebibytes(maxBodyBytes)}${part}`,
      path,
      place: service.placeOf(path),
      hint:
        path[0] === 'api'
          ? 'shorten the specification, or let the Registry fetch it: specificationUrl instead of spec'
          : `shorten ${path.length === 0 ? 'the service' : path.join('.')}`,
    },
  ]
}

/** Rounded up, so that a size above a limit never looks like the limit. */
function mebibytes(bytes: number): string {
  return `${Math.ceil((bytes / 1024 / 1024) * 100) / 100} MiB`
}

function problemsError(problems: readonly Problem[]): ServiceFilesError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  return new ServiceFilesError(`${count} in the services; nothing was sent`, {
    details: {
      problems: problems.map(problemDocument),
    },
    hints: ['correct the problems, and run the command again'],
  })
}
