/** What every run of a command needs, loaded together with the runs: the context, and the report of an error. */
export { createContext } from './create-context.js'
export { reportError, usageError } from './output/error-report.js'
