import { ServiceFilesError } from '../../errors.js'
import type { Place } from '../place.js'
import type { Lines } from './lines.js'
import { maxProblems, type SyntaxProblem } from './tree.js'

/** A problem in a service file, with its place. It never holds a secret, nor a value of a credential field. */
export interface Problem extends Place {
  /** One sentence that names the field: `descripton is not a field of a service; did you mean description?` */
  readonly message: string
  /** How to solve it, as an imperative. */
  readonly hint?: string
}

/** The problems of a text with their places in it. */
export function placed(problems: readonly SyntaxProblem[], lines: Lines): Problem[] {
  return problems.map(({ offset, message, hint }) => ({
    ...lines.placeOf(offset),
    message,
    ...(hint !== undefined && { hint }),
  }))
}

/** The error for one problem or more. Those of a file are sorted by place; the files keep the order in which they were read. */
export function serviceFilesError(problems: readonly Problem[]): ServiceFilesError {
  const byFile = new Map<string, Problem[]>()
  for (const problem of problems) {
    const others = byFile.get(problem.file)
    if (others === undefined) byFile.set(problem.file, [problem])
    else others.push(problem)
  }
  const sorted = [...byFile.values()]
    .flatMap((some) => some.sort((a, b) => a.line - b.line || a.column - b.column))
    .slice(0, maxProblems)
  const count =
    sorted.length === 1 ? '1 problem' : `${sorted.length < maxProblems ? '' : 'at least '}${sorted.length} problems`
  return new ServiceFilesError(`${count} in the service files`, {
    details: { problems: sorted },
    hints: ['correct the files; nothing was sent'],
  })
}
