import { resolve } from 'node:path'
import { ServiceFilesError, type KyconnectError } from '../../../errors.js'
import { objects, text, valueOf } from '../../../json.js'
import type { DesiredService } from '../../../registry/desired-service.js'
import { readServiceFiles } from '../../../registry/files/read.js'
import { formatPlace, type Place } from '../../../registry/place.js'
import { oneLine } from '../../../redaction.js'
import type { Context } from '../../context.js'
import { wrapWords } from '../../output/word-wrap.js'
import { readAll } from '../../read-all.js'

/** Reads the files that -f names. @throws ServiceFilesError, after each problem has been shown */
export async function readFiles(
  sources: readonly string[],
  json: boolean,
  context: Context,
): Promise<readonly DesiredService[]> {
  const { runtime, stdin } = context
  return showingProblems(json, context, async () => {
    const { services } = await readServiceFiles(sources, {
      workingFolder: resolve('.'),
      readStdin: () => readAll(stdin.stream(), runtime.signal),
      signal: runtime.signal,
    })
    return services
  })
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
  const line = (given: string): string => `${wrapWords(oneLine(kyconnect.showable(given)), stderr.columns())}\n`
  const lines = problems.flatMap(({ message, place, hint }) => [
    line(place === undefined ? message : `${formatPlace(place)}: ${message}`),
    ...(hint === undefined ? [] : [`  ${line(`→ ${hint}`)}`]),
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
