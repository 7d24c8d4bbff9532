import { resolve } from 'node:path'
import { ServiceFilesError, type KyconnectError } from '../../../errors.js'
import { objects, text, valueOf } from '../../../json.js'
import { checkSetName, chooseSet } from '../../../registry/choose-set.js'
import type { DesiredService } from '../../../registry/desired-service.js'
import { readServiceFiles } from '../../../registry/files/read.js'
import { formatPlace, type Place } from '../../../registry/place.js'
import { oneLine } from '../../../redaction.js'
import type { Emit } from '../../../progress.js'
import { objectIn } from '../../../registry/content-fields.js'
import type { Context } from '../../context.js'
import { wrapWords } from '../../output/word-wrap.js'
import { readAll } from '../../read-all.js'

/** What the flags say about the files. */
export interface FileOptions {
  readonly file: readonly string[]
  readonly set?: string
  readonly json?: true
}

/** The services that the files describe, and the set that they belong to. */
export interface DesiredServices {
  readonly services: readonly DesiredService[]
  readonly set: string
}

/** Reads the files that -f names. @throws ServiceFilesError, after each problem has been shown */
export async function readFiles({ file, set, json }: FileOptions, context: Context): Promise<DesiredServices> {
  const { runtime, stdin } = context
  if (set !== undefined) checkSetName(set)
  return showingProblems(json === true, context, async () => {
    const { services } = await readServiceFiles(file, {
      workingFolder: resolve('.'),
      readStdin: () => readAll(stdin.stream(), runtime.signal),
      signal: runtime.signal,
    })
    return { services, set: chooseSet(set, services) }
  })
}

/** The Registry accepts such URLs, but no call that the cluster sends to them succeeds. */
export function warnOfTargetUrls(services: readonly DesiredService[], emit: Emit): void {
  for (const service of services) {
    const url = objectIn(service.content['api'])?.['targetUrl']
    if (typeof url !== 'string' || /^https?:\/\//i.test(url)) continue
    const [, scheme] = /^([a-z][a-z\d+.-]*):\/\//i.exec(url) ?? []
    emit({
      type: 'warning',
      warning: 'target-url-scheme',
      identifier: service.identifier,
      scheme: scheme ?? null,
      ...service.placeOf(['api', 'targetUrl']),
    })
  }
}

/** Shows each problem of service files on a line, with its place, before the error that sums them up. With --json the error has them. */
export async function showingProblems<T>(json: boolean, context: Context, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ServiceFilesError && !json) await showProblems(problemsOf(error), context)
    throw error
  }
}

interface ShownProblem {
  readonly message: string
  readonly place: Place | undefined
  readonly hint?: string | undefined
}

export async function showProblems(problems: readonly ShownProblem[], { kyconnect, stderr }: Context): Promise<void> {
  const line = (given: string, indent = ''): string =>
    `${wrapWords(indent + oneLine(kyconnect.showable(given)), stderr.columns())}\n`
  const lines = problems.flatMap(({ message, place, hint }) => [
    line(place === undefined ? message : `${formatPlace(place)}: ${message}`),
    ...(hint === undefined ? [] : [line(`→ ${hint}`, '  ')]),
  ])
  await stderr.write(lines.join(''))
}

function problemsOf({ details = {} }: KyconnectError): ShownProblem[] {
  return objects(details, 'problems').map((problem) => {
    const [file, line, column] = [text(problem, 'file'), valueOf(problem, 'line'), valueOf(problem, 'column')]
    const hasPlace = file !== undefined && typeof line === 'number' && typeof column === 'number'
    return {
      message: text(problem, 'message') ?? '',
      place: hasPlace ? { file, line, column } : undefined,
      hint: text(problem, 'hint'),
    }
  })
}
