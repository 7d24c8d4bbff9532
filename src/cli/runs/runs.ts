/** What the commands do, in one place to load: the rest of the house comes with it. */
export { reportError, usageError } from '../output/error-report.js'
export { createContext } from '../surroundings.js'
export { runCall } from './call.js'
export { runInfo } from './info.js'
export { runPair } from './pair.js'
export { runSandbox } from './sandbox.js'
export { runToken } from './token.js'
