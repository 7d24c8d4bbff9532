import type { Command, Option } from 'commander'
import { errorCodesOf, listExitCodes } from './exit-codes.js'
import { createProgram } from './main.js'

/**
 * docs/reference.md, generated from the program itself: `npm run docs` writes it, and a test compares it. It is not part of the
 * built program.
 */
export function referenceMarkdown(): string {
  const program = createProgram(
    '',
    () => Promise.resolve(),
    () => undefined,
    undefined,
  )
  const commands = program.commands
    .filter((command) => command.name() !== 'version')
    .flatMap((command) => [command, ...command.commands])
  return `${[
    '# Reference',
    '<!-- Generated from the program: change the sources, then run `npm run docs`. -->',
    `The arguments and the output of every command. The [README](../README.md) shows how to use it; the [contract](contract.md) says what the
services do.`,
    '## Commands',
    table(
      ['command', 'what it does'],
      commands.map((command) => [`[\`${usage(command)}\`](#${nameOf(command).replace(' ', '-')})`, command.summary()]),
    ),
    ...commands.flatMap(commandSections),
    '## Variables',
    'A flag takes precedence over its variable, and a variable over what `pair` stored. An empty variable counts as unset.',
    table(['variable', 'meaning'], variables),
    '## Exit codes',
    table(
      ['code', 'meaning', 'error codes'],
      listExitCodes().map(({ exitCode, meaning }) => [
        String(exitCode),
        meaning,
        errorCodesOf(exitCode)
          .map((code) => `\`${code}\``)
          .join(', '),
      ]),
    ),
    'A program that closes the pipe early (`kyconnect call metadata | head -1`) ends kyconnect quietly, with 0.',
    '## JSON',
    json,
    '## Limits',
    limits,
  ].join('\n\n')}\n`
}

function commandSections(command: Command): string[] {
  const help = command.createHelp()
  const groups = new Map<string, Option[]>()
  for (const option of help.visibleOptions(command)) {
    const group = option.helpGroupHeading ?? 'Options:'
    groups.set(group, [...(groups.get(group) ?? []), option])
  }
  const aliases = command.aliases().map((alias) => `\`${alias}\``)
  return [
    `## ${nameOf(command)}`,
    `\`kyconnect ${usage(command)}\`${aliases.length === 0 ? '' : `, or ${aliases.join(', ')}`}`,
    command.description(),
    ...(command.registeredArguments.length === 0
      ? []
      : [
          table(
            ['argument', 'meaning'],
            command.registeredArguments.map((argument) => [`\`${argument.name()}\``, argument.description]),
          ),
        ]),
    ...[...groups].map(([group, options]) =>
      table(
        [group.replace(/:$/, ''), 'meaning'],
        options.map((option) => [`\`${option.flags}\``, describe(option)]),
      ),
    ),
  ]
}

function usage(command: Command): string {
  const names = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`
    return argument.required ? `<${name}>` : `[${name}]`
  })
  const rest = command.commands.length === 0 ? names : ['<command>']
  return [nameOf(command), ...rest].join(' ')
}

/** With the name of the command that it belongs to. */
function nameOf(command: Command): string {
  const { parent } = command
  const isNested = parent !== null && parent.parent !== null
  return isNested ? `${parent.name()} ${command.name()}` : command.name()
}

function describe({ description, defaultValue }: Option): string {
  return typeof defaultValue === 'string' ? `${description} (default: ${defaultValue})` : description
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeCell).join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}

/** `|` ends a cell, and `<…>` outside code is taken for HTML. */
function escapeCell(text: string): string {
  const parts = text.split('`').map((part, index) => (index % 2 === 1 ? part : part.replace(/[<*_]/g, '\\$&')))
  return parts.join('`').replaceAll('|', '\\|')
}

const variables: [string, string][] = [
  [
    '`KYCONNECT_HOME`',
    'the folder that holds the identities (default: `$XDG_DATA_HOME/kyconnect` or `~/.local/share/kyconnect`; on macOS `~/Library/Application Support/kyconnect`; on Windows `%LOCALAPPDATA%\\kyconnect`)',
  ],
  [
    '`KYCONNECT_PROFILE`',
    'as `--profile`; the commands about all identities, `status` and `renew --all`, ignore it, and `renew --daemon` cares for that identity only',
  ],
  ['`KYCONNECT_TOKEN_URL`', 'as `--url` of `pair`'],
  ['`KYCONNECT_SECRET_…`', 'a secret that service files refer to, with any name after the prefix'],
  ['`KYCONNECT_NODE_PORT`', 'as `--node-port`'],
  ['`KYCONNECT_RESOLVE`', 'as `--resolve`; several rules are separated by commas'],
  ['`KYCONNECT_CA_FILE`', 'as `--ca-file`'],
  ['`KYCONNECT_INSECURE`', '`1` or `true`: as `--insecure`'],
  ['`SSL_CERT_FILE`, `NODE_EXTRA_CA_CERTS`', 'PEM files whose certificates are trusted too'],
  ['`HTTPS_PROXY`, `NO_PROXY`', 'the proxy to use, as `--proxy`; the hosts to reach without it. Lower case works too'],
  ['`KUBECONFIG`', 'as for kubectl: one kubeconfig, or several'],
  ['`NO_COLOR`, `FORCE_COLOR`', 'no colours at all; colours outside a terminal too'],
  [
    '`XDG_CACHE_HOME`',
    'where the compiled code is cached (default: `~/.cache`), in `kyconnect/code`; it may be deleted at any time',
  ],
]

const json = `With \`--json\`, a command prints one document on stdout. Control and bidi characters in it are escaped.

\`pair\`, \`rollback\`, \`import\` and \`info\`:

${table(
  ['key', 'meaning'],
  [
    [
      '`app`, `commonName`',
      "the App, and the certificate's common name; they differ only on newer clusters, where the common name is an id",
    ],
    [
      '`profile`, `directory`',
      'the name of the identity, and the folder that holds `key.pem` (null if the store is not a folder)',
    ],
    [
      '`gatewayHost`, `nodePort`',
      'the host of the gateway, or null if the Connector named none; the NodePort that this run uses as a number, or null',
    ],
    [
      '`route`',
      'what is stored about reaching the services: `nodePort` (or null), `resolve` (the rules), `caFile` (whether there is one), `proxy` (without credentials, or null)',
    ],
    ['`insecure`', 'true if the identity was paired with `--insecure`'],
    ['`verified`', 'true if the gateway accepted the certificate in this run'],
    [
      '`certificate`',
      '`subject`, `fingerprint` (SHA-256, lower-case hex), `notBefore`, `notAfter` (ISO 8601, UTC), `daysLeft` (negative once it has expired), `revokedAt` (null unless it is known to be revoked)',
    ],
    [
      '`urls`, `calledUrls`',
      'the URLs by their wire names (`infoUrl`, `metadataUrl`, `eventsUrl`, `renewCertUrl`, `revokeCertUrl`), as received and as called',
    ],
  ],
)}

With \`--save\`, \`info\` adds \`saved\`: those of \`nodePort\`, \`resolve\`, \`caFile\` (whether there is one now) and \`proxy\` (without credentials)
that were stored. A proxy of \`HTTPS_PROXY\` is never stored.

\`info\` prints its document even if the gateway does not accept the certificate or cannot be reached; the exit code says which.

\`status\`: \`identities\`, each with \`profile\`, \`usable\` and \`state\`: \`fine\`, \`due\`, \`expired\`, \`revoked\` or \`unusable\`. An unusable one
has \`problem\`; any other has \`app\`, \`commonName\`, \`notBefore\`, \`notAfter\`, \`daysLeft\`, \`nextRenewal\` (null if it has expired or been revoked),
\`revokedAt\` (or null), \`rejectedAt\` (null unless the certificate signed for the last renewal was rejected: the next one then waits 1/20 of the lifetime), \`hookPending\` (true until the command of \`renew --exec\` has succeeded), \`gatewayHost\`, \`nodePort\` and \`insecure\`.
With \`--check\`, the \`details\` of the error name the profiles: \`expired\`, \`revoked\`, \`unusable\`, \`due\`, \`hookPending\`.

\`status --prometheus\` prints these gauges, each with the labels \`app\` and \`profile\`; instants are in seconds since 1970:

${table(
  ['metric', 'meaning'],
  [
    ['`kyconnect_certificate_not_before_seconds`', 'when the certificate begins to be valid'],
    ['`kyconnect_certificate_not_after_seconds`', 'when the certificate expires'],
    ['`kyconnect_certificate_renewal_due_seconds`', 'when the certificate is due for renewal'],
    ['`kyconnect_certificate_revoked`', '1 if the certificate has been revoked, otherwise 0'],
    ['`kyconnect_hook_pending`', '1 until the command of `renew --exec` has succeeded, otherwise 0'],
    [
      '`kyconnect_identity_usable`',
      '0 if the identity is damaged or its certificate has expired, otherwise 1; an identity that is damaged has an empty `app`, and this metric only',
    ],
  ],
)}

\`remove\`: \`removed\`, \`what\` (\`identity\` or \`pending-pairing\`), and \`left\`: the files in its folder that kyconnect did not write. \`rename\`: \`from\`, \`to\`, \`left\`.

\`revoke\`: \`revoked\` (the profile), \`app\`, \`fingerprint\`, \`notAfter\`, \`revokedAt\`, \`revokedBefore\` (true if it was marked as revoked already),
and \`unrevoked\`: \`fingerprint\` and \`notAfter\` of the certificate that \`rollback\` would restore, or null if there is none that works.

\`token\`: \`app\`, \`url\`.

\`renew\` prints \`results\`, one for each identity, each with \`profile\` and \`outcome\`: \`renewed\`, \`renewed-before\` (another process has
renewed it meanwhile), \`not-due\` or \`failed\`. A failed one has \`error\` (\`code\`, \`message\`, \`hints\`, \`exitCode\`); any other has \`app\`,
\`fingerprint\`, \`notAfter\` and \`nextRenewal\`. \`hook\` is null if the command of \`--exec\` was not run, else has \`profiles\` and \`outcome\`
(\`done\` or \`failed\`). When several things failed, the error on stderr names them, and its code and exit code are those of the worst, in the order 1,
4, 5, 9, 2, 12, 7, 6, 8; \`details.failed\` lists the profiles.

\`renew --daemon\` prints one document per line, for each change: \`time\`, \`event\`, and what the event is about. \`event\` is \`started\`
(with \`url\`, where it listens, or null, \`only\`, the profile it was given, or null, \`place\`, where the identities are, and \`empty\`), \`appeared\`, \`changed\` (by another process), \`due\`, \`renewed\` (with \`failures\`, how often it had
failed before), \`expired\`, \`revoked\`, \`recovered\` (each with \`profile\`, \`app\`, \`fingerprint\`, \`notAfter\`, and \`nextRenewal\`, null if it cannot be renewed), \`failed\`,
\`unusable\` (with \`profile\`, \`error\`), \`gone\`, \`hook-succeeded\`, \`hook-failed\` (with \`profiles\`), \`store-failed\`, \`store-recovered\` or
\`stopping\`.

\`services apply\` and \`services diff\`: \`set\`; \`plan\`, each with \`action\` (\`create\`, \`update\`, \`replace\`, \`delete\`), \`identifier\`, \`name\`, \`id\`
(null for a new one), \`reasons\` (\`changed\`, \`drifted\`, \`adopted\`, \`credentials\`), the fields that differ (\`drifted\` where the file is what was applied
last, else \`changed\`), and \`file\`, \`line\` and \`column\` (not for a deletion); \`unchanged\`, a number. \`apply\` adds \`results\`, unless it was a dry run or
there was nothing to do: \`action\`, \`identifier\`, \`name\`, \`id\`, \`outcome\` (\`done\`, \`failed\`, \`unknown\`: interrupted before the answer, \`skipped\`: not tried)
and \`problems\`.

A problem has \`message\` and, where they are known, \`field\`, \`file\`, \`line\`, \`column\` and \`hint\`, wherever it is: in \`results\`, in \`details.problems\` of the error
for service files, and in \`details.failures[].problems\` of the error for changes that failed.

\`services list\`: \`services\`, each with \`id\`, \`identifier\`, \`name\`, \`provider\`, \`description\`, \`set\` and \`labels\` (yours). \`services delete\`:
\`deleted\`, the same. \`services export\`: \`files\`, the paths written; \`variables\`, which the files refer to; \`withoutIdentifier\`, how many services have none; \`needsAdopt\`, whether applying
the files needs \`--adopt\`. \`services init\`: \`files\` and \`identifier\`. \`services get\` prints the Registry's answer, with \`id\`.

\`events publish\` of one event: \`id\`, \`outcome\` (\`published\` or \`ignored\`). Of many, also when it ends with an error: \`published\`, \`ignored\`
and \`rejected\` (with a checkpoint, of all runs); \`thisRun\`: \`fromLine\`, \`mayRepeat\` (the run before did not end cleanly), \`published\`, \`ignored\`,
\`rejected\`, \`retried\` and \`maybeTwice\`. \`events subscribed\`: \`subscribed\`, each with \`type\` and \`version\`.

\`call\` prints the service's answer unchanged, whatever it is.

On stderr, an error is the last line: \`{"error":{"code","message","hints":[],"exitCode","reason"?,"target"?,"details"?}}\`.
\`reason\` is the code of the underlying failure (\`ECONNREFUSED\`, \`CERT_HAS_EXPIRED\`), \`target\` the host, address and port that were called.
A warning is a line before it: \`{"warning":{"code","message",…}}\`. Decide by codes and fields; messages and hints may change.`

const limits = `- \`call\` passes an answer on while it arrives: at most 1 GiB, for at most an hour. On a terminal, JSON of up to 1 MiB is indented, to a depth of 20.
- \`call\` follows redirects for GET and HEAD, within the gateway.
- The body of an event is checked before it is sent: the service would ignore anything after the first JSON document, so kyconnect refuses it. A body of more than 5 MiB is sent unchecked; the service refuses it.
- The body of a POST or PUT to \`metadata\` is checked for starred credentials (\`********\`), which the Registry would store. A body of more than 5 MiB cannot be checked, and is sent only with \`--allow-starred\`.
- A service file, a specification or a Markdown file may have 8 MiB; a service of more than 5 MiB as JSON is refused before it is sent, with the sizes of its parts. Standard input may have 64 MiB, a folder 10,000 files, and a file with a secret 64 KiB.
- A token URL is read from at most 64 KiB of standard input.
- \`renew --daemon\` looks at the store every 60 s, or every 1/20 of the shortest lifetime stored, but at least 1 s apart. After a failure it waits for a random part of 1 min, then 2 min, and so on up to 1 h (less for lifetimes below 20 min); a new certificate or SIGHUP ends the wait. It renews an identity once per 1/20 of its lifetime at most.
- \`renew --daemon\` ends within 1 s of SIGTERM (exit code 143, which systemd counts as success) or Ctrl-C (130); for a running command of \`--exec\` it waits up to 60 s.
- \`/healthz\` answers 503, with a line for each reason, when an identity has expired, has been revoked, cannot be used, or has less than half of the time between its due date and its expiry left. The listener has no access control: name an address other than this machine's own only in a network that may see App names and dates.`
