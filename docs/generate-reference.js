// Writes docs/reference.md from the program's own flags, exit codes and variables.
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['src/cli/reference.ts'],
  bundle: true,
  platform: 'node',
  format: 'cjs',
  write: false,
  // The runs of the commands are imported only when a command runs.
  external: ['./run.js', './session.js'],
})
const module = { exports: {} }
const load = new Function('module', 'exports', 'require', outputFiles[0].text)
load(module, module.exports, createRequire(import.meta.url))
writeFileSync(join(root, 'docs', 'reference.md'), module.exports.referenceMarkdown())
