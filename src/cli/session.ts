/** What every run of a command needs: the context, and the report of an error. It is bundled with the runs. */
export { createContext } from './create-context.js'
export { usageError } from './mistyped.js'
export { reportError } from './output/error-report.js'
