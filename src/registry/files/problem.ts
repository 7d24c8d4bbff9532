import { ServiceFilesError } from '../../errors.js'
import type { Place } from '../place.js'

/** A problem in a service file, with its place. It never holds a secret, nor a value of a credential field. */
export interface Problem extends Place {
  /** One sentence that names the field: `descripton is not a field of a service; did you mean description?` */
  readonly message: string
  /** How to solve it, as an imperative. */
  readonly hint?: string
}

/** The error for problems of any number; sorted by place within each file. */
export function serviceFilesError(problems: readonly Problem[]): ServiceFilesError {
  const files = new Map(problems.map(({ file }, index) => [file, index]))
  const order = ({ file }: Problem): number => files.get(file) ?? 0
  const sorted = [...problems].sort((a, b) => order(a) - order(b) || a.line - b.line || a.column - b.column)
  const count = sorted.length === 1 ? 'a problem' : `${sorted.length} problems`
  return new ServiceFilesError(`the service files have ${count}`, {
    details: { problems: sorted },
    hints: ['correct the files; nothing was sent'],
  })
}
