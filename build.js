// Bundles the program: one file with our own code, one for each heavy module that is loaded only where it is used, and one for
// the sandbox. CommonJS, so that launch.ts can keep V8's compiled code between runs.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Ajv from 'ajv'
import standaloneCode from 'ajv/dist/standalone/index.js'
import { build } from 'esbuild'

const root = dirname(fileURLToPath(import.meta.url))
const require = createRequire(import.meta.url)
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const at = (...path) => join(root, ...path)

/** What is imported dynamically becomes a file of its own; the name it is imported by, and that file. */
const chunks = new Map([
  ['undici', 'undici.js'],
  ['./undici-fetch.js', 'fetch.js'],
  ['inquirer', 'inquirer.js'],
  ['yocto-spinner', 'spinner.js'],
  ['./peculiar.js', 'peculiar.js'],
  ['./yaml.js', 'yaml.js'],
  ['./yaml-events.js', 'yaml-events.js'],
  ['../../../sandbox/sandbox.js', 'sandbox.js'],
  ['./session.js', 'runs.js'],
])
/** The runs of all commands are one chunk with everything they use, so that an error class is one class. */
const commandNames = readdirSync(at('src/cli/commands'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
const runs = `
export * from './src/cli/session.ts'
${commandNames.map((name) => `export * as ${name} from './src/cli/commands/${name}/run.ts'`).join('\n')}
`
const chunksApart = {
  name: 'chunks-apart',
  setup(bundle) {
    bundle.onResolve({ filter: /.*/ }, ({ kind, path, resolveDir }) => {
      if (kind !== 'dynamic-import') return undefined
      // A command imports its own run.
      if (path === './run.js') return { path: basename(resolveDir), namespace: 'run' }
      const chunk = chunks.get(path)
      // Third-party code may load what it likes; ours has each dynamic import listed above.
      return chunk === undefined ? undefined : { path: `./${chunk}`, external: true }
    })
    bundle.onResolve({ filter: /^\.\/runs\.js$/, namespace: 'run' }, () => ({ path: './runs.js', external: true }))
    bundle.onLoad({ filter: /.*/, namespace: 'run' }, ({ path }) => ({
      contents: `module.exports = require('./runs.js').${path}`,
    }))
  },
}

/** commander starts other programs for sub-commands that are executables; there are none here, and node:child_process takes long to load. */
const noChildren = {
  name: 'no-children',
  setup(bundle) {
    bundle.onResolve({ filter: /^node:child_process$/ }, () => ({ path: 'none', namespace: 'no-children' }))
    bundle.onLoad({ filter: /.*/, namespace: 'no-children' }, () => ({ contents: 'export {}' }))
  },
}

/** Chalk looks for colours as it loads, and for that loads node:tty with streams and sockets. We always say which colours we want. */
const noColourSearch = {
  name: 'no-colour-search',
  setup(bundle) {
    bundle.onResolve({ filter: /^#supports-color$/ }, () => ({ path: 'none', namespace: 'no-colour-search' }))
    bundle.onLoad({ filter: /.*/, namespace: 'no-colour-search' }, () => ({
      contents: 'export default { stdout: false, stderr: false }',
    }))
  },
}

/** With NODE_DEBUG set, undici prints the paths it asks for, and with them one-time tokens. */
const silentUndici = {
  name: 'silent-undici',
  setup(bundle) {
    bundle.onLoad({ filter: /undici[\\/]lib[\\/]core[\\/]diagnostics\.js$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8')
      const contents = source.replace(/util\.debuglog\([^)]*\)/g, '{ enabled: false }')
      if (contents === source) throw new Error(`${path} has changed: look at what it prints now`)
      return { contents }
    })
  },
}

/** A server may send 100 Continue without being asked (RFC 9110, section 15.2): it is skipped, where undici ends the connection. */
const skipContinue = {
  name: 'skip-continue',
  setup(bundle) {
    bundle.onLoad({ filter: /undici[\\/]lib[\\/]dispatcher[\\/]client-h1\.js$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8')
      const contents = source.replace('if (statusCode === 100) {', 'if (false) {')
      if (contents === source) throw new Error(`${path} has changed: look at what it does with 100 Continue now`)
      return { contents }
    })
  },
}

/**
 * undici loads node:http for one number and one class, and node:assert for checks of its own: 3.6 ms of a start. The number is
 * Node's default for --max-http-header-size.
 */
const lightBuiltins = {
  name: 'light-builtins',
  setup(bundle) {
    const contents = {
      'node:http': 'export const maxHeaderSize = 16384; export class IncomingMessage {}',
      'node:assert': `
        const assert = (value, message) => {
          if (!value) throw message instanceof Error ? message : new Error(message ?? 'assertion failed')
        }
        module.exports = assert`,
    }
    bundle.onResolve({ filter: /^node:(http|assert)$/ }, ({ path }) => ({ path, namespace: 'light-builtins' }))
    bundle.onLoad({ filter: /.*/, namespace: 'light-builtins' }, ({ path }) => ({ contents: contents[path] }))
  },
}

/** HTTP/1.1 is all that is spoken; loading Node's HTTP/2 takes longer than an exchange. */
const noHttp2 = {
  name: 'no-http2',
  setup(bundle) {
    bundle.onLoad({ filter: /undici[\\/]lib[\\/]dispatcher[\\/]client-h2\.js$/ }, () => ({
      contents: `module.exports = () => { throw new Error('HTTP/2 is not built in') }`,
    }))
  },
}

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20.19',
  // import() of a chunk becomes a require() that launch.ts answers.
  supported: { 'dynamic-import': false },
  plugins: [chunksApart],
  define: { KYCONNECT_VERSION: JSON.stringify(version) },
  minifySyntax: true,
  minifyWhitespace: true,
  metafile: true,
  logLevel: 'warning',
}

/** undici's own index loads fetch, caches, mocks and WebSockets too: twice the time, and nothing here uses them. */
const undici = `
const Client = require('undici/lib/dispatcher/client.js')
const Pool = require('undici/lib/dispatcher/pool.js')
const Dispatcher = require('undici/lib/dispatcher/dispatcher.js')
Dispatcher.prototype.request = require('undici/lib/api/api-request.js')
module.exports = { Client, Pool }
`

/**
 * fetch and what it needs, apart from the rest of undici. The module with undici's global dispatcher is left out: loading it replaces
 * the dispatcher of Node's own fetch, and a program that imports kyconnect has not asked for that.
 */
const undiciFetch = {
  name: 'undici-fetch',
  setup(bundle) {
    bundle.onResolve({ filter: /^undici$/ }, () => ({ path: 'undici', namespace: 'undici-fetch' }))
    bundle.onLoad({ filter: /.*/, namespace: 'undici-fetch' }, () => ({
      contents: `
        exports.Dispatcher = require('undici/lib/dispatcher/dispatcher.js')
        exports.fetch = require('undici/lib/web/fetch/index.js').fetch
        exports.FormData = require('undici/lib/web/fetch/formdata.js').FormData`,
      resolveDir: root,
    }))
    bundle.onLoad({ filter: /undici[\\/]lib[\\/]global\.js$/ }, () => ({
      contents: `exports.getGlobalDispatcher = () => undefined`,
    }))
  },
}

/**
 * The schema of service files as code, so that no start of kyconnect compiles it. What it needs of ajv is bundled with it; the texts
 * for editors are left out.
 */
async function compileServiceSchema() {
  const texts = new Set(['title', 'description', 'examples'])
  const schema = JSON.parse(readFileSync(at('schema/service.schema.json'), 'utf8'), (name, value) =>
    texts.has(name) && (typeof value === 'string' || Array.isArray(value)) ? undefined : value,
  )
  const code = { source: true, esm: true, lines: true }
  const ajv = new Ajv({ schemas: [schema], allErrors: true, allowUnionTypes: true, messages: false, code })
  return build({
    stdin: { contents: standaloneCode(ajv, { validateService: schema.$id }), resolveDir: root },
    bundle: true,
    format: 'esm',
    platform: 'node',
    minifySyntax: true,
    outfile: at('src/registry/files/validate-service.js'),
    metafile: true,
    logLevel: 'warning',
  })
}

rmSync(at('dist'), { recursive: true, force: true })
mkdirSync(at('dist'))
const serviceSchema = await compileServiceSchema()
const bundles = await Promise.all([
  build({
    ...common,
    entryPoints: [at('src/cli/start.ts')],
    plugins: [chunksApart, noChildren],
    outfile: at('dist/main.js'),
  }),
  build({
    ...common,
    stdin: { contents: runs, resolveDir: root },
    plugins: [chunksApart, noColourSearch],
    outfile: at('dist/runs.js'),
  }),
  build({ ...common, entryPoints: [at('src/index.ts')], outfile: at('dist/index.js') }),
  build({
    ...common,
    entryPoints: [at('src/pki/peculiar.ts')],
    outfile: at('dist/peculiar.js'),
    // The packages' ES modules: without what is not used they load in half the time.
    mainFields: ['module', 'main'],
  }),
  build({ ...common, entryPoints: [at('src/kubernetes/yaml.ts')], outfile: at('dist/yaml.js') }),
  build({
    ...common,
    entryPoints: [at('src/registry/files/yaml-events.ts')],
    outfile: at('dist/yaml-events.js'),
  }),
  build({ ...common, entryPoints: [at('src/sandbox/sandbox.ts')], outfile: at('dist/sandbox.js') }),
  build({
    ...common,
    stdin: { contents: undici, resolveDir: root },
    plugins: [chunksApart, silentUndici, skipContinue, noHttp2, lightBuiltins],
    outfile: at('dist/undici.js'),
  }),
  build({
    ...common,
    entryPoints: [at('src/transport/undici-fetch.ts')],
    plugins: [undiciFetch, silentUndici],
    outfile: at('dist/fetch.js'),
  }),
  build({
    ...common,
    stdin: { contents: `module.exports = require('inquirer').default`, resolveDir: root },
    outfile: at('dist/inquirer.js'),
  }),
  build({
    ...common,
    stdin: { contents: `module.exports = require('yocto-spinner').default`, resolveDir: root },
    outfile: at('dist/spinner.js'),
  }),
])
// esbuild leaves other characters in patterns and comments as they are, and one of them makes V8 keep the whole source in two bytes
// a character. An escape means the same in both.
for (const name of readdirSync(at('dist')).filter((file) => file.endsWith('.js'))) {
  const source = readFileSync(at('dist', name), 'utf8')
  const ascii = source.replace(/[^\0-\x7f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  if (ascii !== source) writeFileSync(at('dist', name), ascii)
}
const hashes = Object.fromEntries(
  readdirSync(at('dist'))
    .filter((name) => name.endsWith('.js'))
    .map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(at('dist', name)))
        .digest('hex'),
    ]),
)
await build({
  ...common,
  define: {
    ...common.define,
    KYCONNECT_BUNDLE_HASHES: JSON.stringify(hashes),
    KYCONNECT_COMMANDS: JSON.stringify(commandNames),
  },
  entryPoints: [at('src/cli/launch.ts')],
  outfile: at('dist/launch.js'),
})
writeFileSync(at('dist/package.json'), '{ "type": "commonjs" }\n')
writeFileSync(
  at('dist/THIRD-PARTY.txt'),
  thirdParty([serviceSchema, ...bundles].flatMap(({ metafile }) => Object.keys(metafile.inputs))),
)
execFileSync(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', at('tsconfig.types.json')], {
  stdio: 'inherit',
})

/** The licences of everything that is bundled, as they ask to be passed on. */
function thirdParty(inputs) {
  const folders = new Set(
    inputs.map((input) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]).filter(Boolean),
  )
  return [...folders]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(at(folder, 'package.json'), 'utf8'))
      return `${name} ${version} (${license})\n\n${licenceText(folder)}\n`
    })
    .join(`\n${'-'.repeat(80)}\n\n`)
}

function licenceText(folder) {
  for (const file of ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'license.md', 'LICENCE']) {
    try {
      return readFileSync(at(folder, file), 'utf8').trim()
    } catch {
      continue
    }
  }
  return '(the package has no licence file of its own)'
}
