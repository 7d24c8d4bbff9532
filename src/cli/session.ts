/** What every run of a command needs; it is bundled with the runs: the context, and the report of an error. */
export { createContext } from './create-context.js'
export { usageError } from './mistyped.js'
export { reportError } from './output/error-report.js'
