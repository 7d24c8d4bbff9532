/** The runs of the subcommands of `services`. */
export { type ApplyOptions, runApply } from './apply.js'
export { type DeleteOptions, runDelete } from './delete.js'
export { type DiffOptions, runDiff } from './diff.js'
export { type ExportOptions, runExport } from './export.js'
export { type GetOptions, runGet } from './get.js'
export { type InitOptions, runInit } from './init.js'
export { type ListOptions, runList } from './list.js'
