/** Who may import whom, edge by edge: what is not listed here is an error. docs/architecture.md draws the same picture. */
const rooms = {
  cli: ['kyconnect', 'runtime', 'pairing', 'renewal', 'gateway', 'registry', 'events', 'kubernetes', 'identity'],
  index: [
    'kyconnect',
    'live-identity',
    'runtime',
    'pairing',
    'renewal',
    'gateway',
    'registry',
    'events',
    'kubernetes',
    'identity',
    'transport',
  ],
  kyconnect: [
    'runtime',
    'pairing',
    'renewal',
    'gateway',
    'registry',
    'events',
    'kubernetes',
    'identity',
    'connector',
    'transport',
    'pki',
  ],
  // For programs alone: no command imports it, so that no command loads undici's fetch.
  'live-identity': ['pairing', 'renewal', 'events', 'gateway', 'identity', 'transport'],
  pairing: ['gateway', 'identity', 'connector', 'pki', 'transport'],
  renewal: ['pairing', 'gateway', 'identity', 'connector', 'pki', 'transport'],
  gateway: ['identity', 'transport'],
  kubernetes: ['identity', 'transport'],
  registry: ['gateway', 'transport'],
  events: ['gateway', 'identity', 'transport'],
  identity: ['pki', 'transport'],
  connector: ['transport', 'pki'],
  pki: [],
  transport: [],
}
/** A room is a folder of src/, or a single file beside the folders (index.ts, kyconnect.ts). */
const place = (room) => `^src/${room}(/|\\.ts$)`
const inRoom = (names) => `^src/(${names.join('|')})(/|\\.ts$)`

module.exports = {
  forbidden: [
    ...Object.entries(rooms).map(([room, may]) => ({
      name: `${room}-imports-only-its-own`,
      severity: 'error',
      from: {
        path: place(room),
        ...(room === 'cli' ? { pathNot: '^src/cli/commands/sandbox/' } : {}),
      },
      to: {
        path: '^src/',
        pathNot: inRoom([
          room,
          ...may,
          'errors',
          'json',
          'progress',
          'redaction',
          'shell-word',
          'file-problem',
          'open-readable',
        ]),
      },
    })),
    {
      name: 'the-sandbox-command-alone-opens-the-sandbox',
      severity: 'error',
      from: { path: '^src/cli/commands/sandbox/' },
      to: {
        path: '^src/',
        pathNot: inRoom([
          'cli',
          ...rooms.cli,
          'errors',
          'json',
          'progress',
          'redaction',
          'shell-word',
          'file-problem',
          'open-readable',
          'sandbox',
        ]),
      },
    },
    {
      name: 'sandbox-is-loaded-lazily',
      severity: 'error',
      from: { path: '^src/cli/' },
      to: { path: '^src/sandbox/', dependencyTypesNot: ['dynamic-import', 'type-only'] },
    },
    {
      name: 'sandbox-is-the-other-side',
      severity: 'error',
      from: { path: '^src/sandbox/' },
      to: { path: '^src/', pathNot: '^src/sandbox/' },
    },
    {
      name: 'shared-files-import-nothing',
      severity: 'error',
      from: { path: '^src/(errors|json|progress|redaction|shell-word|file-problem|open-readable)\\.ts$' },
      to: { path: '^src/' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'http-in-one-place', severity: 'error', from: { pathNot: '^src/transport/' }, to: { path: 'undici' } },
    {
      name: 'heavy-modules-are-loaded-lazily',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot:
          '^src/(sandbox/|pki/peculiar\\.ts|kubernetes/yaml\\.ts|registry/files/yaml-events\\.ts|transport/undici-fetch\\.ts)',
      },
      to: {
        path: 'node_modules/(@peculiar|inquirer|js-yaml|undici|reflect-metadata)',
        dependencyTypesNot: ['dynamic-import', 'type-only'],
      },
    },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
  },
}
