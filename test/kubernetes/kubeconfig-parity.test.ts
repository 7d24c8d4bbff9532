import { generateKeyPairSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KyconnectError } from '../../src/errors.js'
import { KubernetesApi } from '../../src/kubernetes/api.js'
import { openCluster } from '../../src/kubernetes/kubeconfig.js'
import { applications } from '../../src/kubernetes/resource.js'
import type { ProgressEvent } from '../../src/progress.js'
import { Redactor } from '../../src/redaction.js'
import { noProxy } from '../../src/transport/proxy.js'
import { kubectls, startKubectl } from '../sandbox/kubernetes/kubectl.js'
import { temporaryFolder } from '../support/certificates.js'
import { kubeconfigDeps, writeOwnFile } from '../support/kubeconfigs.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'
import { startTinyproxy } from '../support/tinyproxy.js'

/** One kubeconfig, read by kubectl and by us: both get an answer of the sandbox's API, or neither does. */

/** What the sandbox's own kubeconfig says. */
interface Access {
  readonly server: string
  /** PEM. */
  readonly ca: string
  readonly token: string
  /** PEM. */
  readonly client: { readonly cert: string; readonly key: string }
}

const alternativeName = 'kubernetes.default.svc'
let cluster: Access
let sandbox: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let otherKey: string
beforeAll(async () => {
  ;[sandbox, folder] = await Promise.all([startSandboxProcess(['--app', 'demo']), temporaryFolder('parity')])
  cluster = await readAccess(sandbox.ready.kubeconfig)
  otherKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()
  const { token, ca } = cluster
  const credential = (status: object): string =>
    JSON.stringify({ kind: 'ExecCredential', apiVersion: 'client.authentication.k8s.io/v1beta1', status })
  const script = (lines: string): string => `#!/bin/sh\n${lines}\n`
  const { cert, key } = cluster.client
  const files: readonly (readonly [string, string, number?])[] = [
    ['ca.pem', ca],
    ['client.crt', cert],
    ['client.key', key],
    ['token', `${token}\n`],
    ['empty', ''],
    ['bin/get-token', script(`printf '%s' '${credential({ token })}'`), 0o700],
    [
      'bin/get-certificate',
      script(`printf '%s' '${credential({ clientCertificateData: cert, clientKeyData: key })}'`),
      0o700,
    ],
    ['bin/get-half', script(`printf '%s' '${credential({ clientCertificateData: cert })}'`), 0o700],
    ['bin/get-nothing', script(`printf '%s' '${credential({})}'`), 0o700],
    ['bin/fail', script('echo "log in first" >&2; exit 1'), 0o700],
    ['bin/not-executable', script('exit 0'), 0o600],
    // Gives a token only to those who pass the cluster on.
    [
      'bin/needs-cluster',
      script(
        `case "$KUBERNETES_EXEC_INFO" in *'"server":"${cluster.server}"'*) printf '%s' '${credential({ token })}';; *) exit 1;; esac`,
      ),
      0o700,
    ],
    // The first credentials have expired when they are given.
    [
      'bin/expiring',
      script(`printf '%s' '${credential({ token, expirationTimestamp: '2000-01-01T00:00:00Z' })}'`),
      0o700,
    ],
  ]
  for (const [name, content, mode] of files) await writeOwnFile(join(folder.path, 'kube', name), content, mode)
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})

async function readAccess(kubeconfig: string): Promise<Access> {
  const text = await readFile(kubeconfig, 'utf8')
  const field = (name: string): string => new RegExp(`^ *${name}: (.*)$`, 'm').exec(text)?.[1] ?? ''
  const pem = (name: string): string => Buffer.from(field(name), 'base64').toString()
  return {
    server: field('server'),
    ca: pem('certificate-authority-data'),
    token: field('token'),
    client: { cert: pem('client-certificate-data'), key: pem('client-key-data') },
  }
}

interface Parts {
  readonly cluster?: object
  readonly user?: object
  readonly context?: object
  readonly whole?: object
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const exec = (command: string, more: object = {}): object => ({
  exec: { apiVersion: 'client.authentication.k8s.io/v1beta1', command, ...more },
})

/** A kubeconfig that works, with parts replaced. */
function config({ cluster: ofCluster, user, context, whole }: Parts): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'c',
        cluster: {
          server: cluster.server,
          ...(ofCluster ?? { 'certificate-authority-data': base64(cluster.ca) }),
        },
      },
    ],
    users: [{ name: 'u', user: user ?? { token: cluster.token } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', ...context } }],
    'current-context': 'x',
    ...whole,
  })
}

interface Outcome {
  readonly works: boolean
  readonly error?: KyconnectError
  readonly events: readonly ProgressEvent[]
}

async function askOurs(KUBECONFIG: string): Promise<Outcome> {
  const events: ProgressEvent[] = []
  const environment = { PATH: `${join(folder.path, 'kube', 'bin')}:${process.env['PATH'] ?? ''}`, KUBECONFIG }
  const deps = kubeconfigDeps(folder.path, { environment, emit: (event) => events.push(event) })
  try {
    const found = await openCluster({ kubeconfig: undefined, context: undefined, namespace: undefined }, deps)
    const api = new KubernetesApi(found, {
      redactor: new Redactor(),
      trace: undefined,
      timeoutMs: 20_000,
      proxy: noProxy,
      rootFiles: [],
      systemRootFiles: [],
      monotonic: () => performance.now(),
      sleep: () => Promise.resolve(),
    })
    try {
      await api.requestOk({ verb: 'get', kind: applications, name: 'demo' }, deps.signal)
    } finally {
      await api.close()
    }
    return { works: true, events }
  } catch (error) {
    if (error instanceof KyconnectError) return { works: false, error, events }
    throw error
  }
}

async function askKubectl(program: string, kubeconfig: string): Promise<{ works: boolean; said: string }> {
  const path = '/apis/applicationconnector.kyma-project.io/v1alpha1/applications/demo'
  const done = await startKubectl(program, kubeconfig, ['get', '--raw', path], '', join(folder.path, 'kube', 'bin')).end
  return { works: done.code === 0, said: done.stderr }
}

/** By name: the kubeconfig, and the error that is ours where it fails. Made when the cluster is there. */
const rows: readonly (readonly [string, () => Parts, RegExp?])[] = [
  [
    'a proxy-url where nothing listens',
    () => ({ cluster: { 'proxy-url': 'http://127.0.0.1:1', 'certificate-authority': 'ca.pem' } }),
    /the proxy http:\/\/127\.0\.0\.1:1 cannot be reached: connection refused/,
  ],
  [
    'a SOCKS proxy where nothing listens',
    () => ({ cluster: { 'proxy-url': 'socks5://127.0.0.1:1', 'certificate-authority': 'ca.pem' } }),
    /its proxy-url has the scheme socks5/,
  ],
  [
    'a proxy-url that is not one',
    () => ({ cluster: { 'proxy-url': '::', 'certificate-authority': 'ca.pem' } }),
    /its proxy-url is not a valid URL/,
  ],
  ['a token', () => ({})],
  ['a wrong token', () => ({ user: { token: 'wrong' } }), /does not accept the credentials/],
  ['a token file, relative', () => ({ user: { tokenFile: 'token' } })],
  ['a token file, and a wrong token beside it', () => ({ user: { tokenFile: './token', token: 'wrong' } })],
  [
    'a token file that is missing',
    () => ({ user: { tokenFile: 'nowhere' } }),
    /tokenFile \/.*\/nowhere cannot be read: it does not exist/,
  ],
  ['a token that is a number', () => ({ user: { token: 5 } }), /users\[0\]\.user\.token is not a string/],
  ['a password', () => ({ user: { username: 'me', password: 'x' } }), /does not accept the credentials/],
  [
    'a token and a password',
    () => ({ user: { token: cluster.token, username: 'me', password: 'x' } }),
    /a token and a password cannot be combined/,
  ],
  ['no user', () => ({ context: { user: '' } }), /does not accept the credentials/],
  ['a user that is not there', () => ({ context: { user: 'missing' } }), /has no user "missing"/],
  ['a cluster that is not there', () => ({ context: { cluster: 'missing' } }), /has no cluster "missing"/],
  ['no server', () => ({ cluster: { server: '' } }), /it has no server/],
  ['a CA file, relative', () => ({ cluster: { 'certificate-authority': './ca.pem' } })],
  [
    'a CA file that is missing',
    () => ({ cluster: { 'certificate-authority': 'nowhere.pem' } }),
    /certificate-authority \/.*nowhere\.pem of the cluster "c" cannot be read: it does not exist/,
  ],
  [
    'a CA file that is empty',
    () => ({ cluster: { 'certificate-authority': 'empty' } }),
    /CA is not a certificate in PEM/,
  ],
  ['a CA that is not base64', () => ({ cluster: { 'certificate-authority-data': '***' } }), /is not base64/],
  [
    'a CA twice',
    () => ({ cluster: { 'certificate-authority': 'ca.pem', 'certificate-authority-data': base64(cluster.ca) } }),
    /cannot be combined/,
  ],
  ['no CA', () => ({ cluster: {} }), /certificate/],
  ['insecure-skip-tls-verify', () => ({ cluster: { 'insecure-skip-tls-verify': true } })],
  [
    'insecure-skip-tls-verify and a CA',
    () => ({ cluster: { 'insecure-skip-tls-verify': true, 'certificate-authority': 'ca.pem' } }),
    /a CA and insecure-skip-tls-verify cannot be combined/,
  ],
  [
    'tls-server-name',
    () => ({
      cluster: {
        'tls-server-name': alternativeName,
        'certificate-authority': 'ca.pem',
      },
    }),
  ],
  [
    'a wrong tls-server-name',
    () => ({ cluster: { 'tls-server-name': 'wrong.test', 'certificate-authority': 'ca.pem' } }),
    /certificate/,
  ],
  [
    'no scheme, with a CA',
    () => ({ cluster: { server: new URL(cluster.server).host, 'certificate-authority': 'ca.pem' } }),
    /its server is not an https URL/,
  ],
  [
    'a client certificate in files, relative',
    () => ({ user: { 'client-certificate': 'client.crt', 'client-key': './client.key' } }),
  ],
  [
    'a client certificate as data',
    () => ({
      user: { 'client-certificate-data': base64(cluster.client.cert), 'client-key-data': base64(cluster.client.key) },
    }),
  ],
  [
    'a client certificate without its key',
    () => ({ user: { 'client-certificate': 'client.crt' } }),
    /no client-key or client-key-data/,
  ],
  [
    'a client certificate with another key',
    () => ({ user: { 'client-certificate-data': base64(cluster.client.cert), 'client-key-data': base64(otherKey) } }),
    /do not match/,
  ],
  [
    'a client certificate that is missing',
    () => ({ user: { 'client-certificate': 'nowhere.crt', 'client-key': 'client.key' } }),
    /client-certificate \/.*nowhere\.crt cannot be read: it does not exist/,
  ],
  [
    'a client certificate twice',
    () => ({
      user: {
        'client-certificate': 'client.crt',
        'client-certificate-data': base64(cluster.client.cert),
        'client-key': 'client.key',
      },
    }),
    /cannot be combined/,
  ],
  [
    'a client certificate that is not one',
    () => ({ user: { 'client-certificate': 'ca.pem', 'client-key': 'empty' } }),
    /not valid PEM/,
  ],
  ['a plugin, relative', () => ({ user: exec('./bin/get-token') })],
  ['a plugin, relative without a dot', () => ({ user: exec('bin/get-token') })],
  ['a plugin in PATH', () => ({ user: exec('get-token') })],
  [
    'a plugin in PATH, where its own PATH does not lead',
    () => ({ user: exec('get-token', { env: [{ name: 'PATH', value: '/nowhere' }] }) }),
  ],
  [
    'a plugin that is missing',
    () => ({ user: exec('./bin/nowhere') }),
    /the exec plugin \.\/bin\/nowhere does not exist/,
  ],
  ['a plugin that is not in PATH', () => ({ user: exec('no-such-plugin') }), /no-such-plugin is not in PATH/],
  ['a plugin that is not executable', () => ({ user: exec('bin/not-executable') }), /is not executable/],
  ['a plugin that fails', () => ({ user: exec('bin/fail') }), /failed with exit code 1: log in first/],
  ['a plugin that gives a client certificate', () => ({ user: exec('bin/get-certificate') })],
  ['a plugin that gives half a client certificate', () => ({ user: exec('bin/get-half') }), /without its key/],
  [
    'a plugin that gives nothing',
    () => ({ user: exec('bin/get-nothing') }),
    /neither a token nor a client certificate/,
  ],
  ['a plugin that needs the cluster', () => ({ user: exec('bin/needs-cluster', { provideClusterInfo: true }) })],
  [
    'a plugin that needs the cluster and does not get it',
    () => ({ user: exec('bin/needs-cluster') }),
    /failed with exit code 1/,
  ],
  ['a plugin whose credentials are old', () => ({ user: exec('bin/expiring') })],
  ['a plugin without a command', () => ({ user: exec('') }), /has no command/],
  [
    'a plugin without an apiVersion',
    () => ({ user: exec('bin/get-token', { apiVersion: undefined }) }),
    /has no apiVersion/,
  ],
  [
    'a plugin of another apiVersion',
    () => ({ user: exec('bin/get-token', { apiVersion: 'client.authentication.k8s.io/v9' }) }),
    /the apiVersion of its exec plugin is not one of/,
  ],
  ['a plugin and a token', () => ({ user: { token: cluster.token, ...exec('/nowhere') } })],
  [
    'an auth-provider and a plugin',
    () => ({ user: { 'auth-provider': { name: 'oidc' }, ...exec('bin/get-token') } }),
    /cannot be combined/,
  ],
  [
    'a wrong auth-provider',
    () => ({ user: { 'auth-provider': { name: 'nonsense', config: {} } } }),
    /auth-provider "nonsense" is not supported/,
  ],
  [
    'a dangling context beside it',
    () => ({
      whole: {
        contexts: [
          { name: 'x', context: { cluster: 'c', user: 'u' } },
          { name: 'dangling', context: { cluster: 'gone', user: 'gone' } },
          { name: 'bare' },
        ],
      },
    }),
  ],
  ['a dangling current context', () => ({ whole: { 'current-context': 'gone' } }), /has no context "gone"/],
  [
    'a broken cluster beside it',
    () => ({
      whole: {
        clusters: [
          { name: 'broken' },
          { name: 'c', cluster: { server: cluster.server, 'certificate-authority': 'ca.pem' } },
        ],
      },
    }),
  ],
  [
    'the same name twice',
    () => ({
      whole: {
        users: [
          { name: 'u', user: { token: cluster.token } },
          { name: 'u', user: { token: 'x' } },
        ],
      },
    }),
    /users\[1\] repeats the name "u"/,
  ],
  ['a list that is a mapping', () => ({ whole: { clusters: {} } }), /clusters is not a list/],
  ['groups without a user', () => ({ user: { token: cluster.token, 'as-groups': ['admins'] } }), /need "as"/],
]

describe('a kubeconfig with', () => {
  test.each(rows.map(([name, parts, ours]) => ({ name, parts, ours })))('$name', async ({ name, parts, ours }) => {
    const path = await writeOwnFile(join(folder.path, 'kube', name.replaceAll(/\W/g, '-')), config(parts()))
    const outcome = await askOurs(path)
    if (ours === undefined) expect(outcome.error).toBeUndefined()
    else expect(outcome.error?.message ?? 'it works').toMatch(ours)
    for (const program of kubectls) {
      const { works, said } = await askKubectl(program, path)
      expect(works, `${program}: ${said}`).toBe(outcome.works)
    }
  })

  test.each([
    [undefined, false],
    ['Never', true],
    ['IfAvailable', true],
    ['Always', false],
    ['Sometimes', false],
  ])('interactiveMode %s, for client.authentication.k8s.io/v1: works %s', async (interactiveMode, works) => {
    const apiVersion = 'client.authentication.k8s.io/v1'
    const status = JSON.stringify({ kind: 'ExecCredential', apiVersion, status: { token: cluster.token } })
    await writeOwnFile(join(folder.path, 'kube', 'bin', 'get-v1'), `#!/bin/sh\nprintf '%s' '${status}'\n`, 0o700)
    const user = exec('bin/get-v1', { apiVersion, ...(interactiveMode === undefined ? {} : { interactiveMode }) })
    const path = await writeOwnFile(
      join(folder.path, 'kube', `interactive-${String(interactiveMode)}`),
      config({ user }),
    )
    expect((await askOurs(path)).works).toBe(works)
    // kubectl knows this version since 1.22.
    const asked = await Promise.all(kubectls.map((program) => askKubectl(program, path)))
    const knowing = asked.filter(({ said }) => !said.includes('invalid apiVersion'))
    expect(knowing.map((answer) => answer.works)).toEqual(knowing.map(() => works))
  })

  test('parts in several files, each with paths relative to itself', async () => {
    const [first, second] = [join(folder.path, 'kube', 'split'), join(folder.path, 'elsewhere', 'split')]
    const { clusters } = JSON.parse(config({ cluster: { 'certificate-authority': 'ca.pem' } })) as { clusters: object }
    await writeOwnFile(first, JSON.stringify({ clusters }))
    const { users, contexts } = JSON.parse(config({ user: exec('./plugin') })) as { users: object; contexts: object }
    await writeOwnFile(second, JSON.stringify({ users, contexts, 'current-context': 'x' }))
    const plugin = await readFile(join(folder.path, 'kube', 'bin', 'get-token'), 'utf8')
    await writeOwnFile(join(dirname(second), 'plugin'), plugin, 0o700)
    const path = [first, join(folder.path, 'nowhere'), second].join(delimiter)
    expect((await askOurs(path)).error).toBeUndefined()
    for (const program of kubectls) expect(await askKubectl(program, path)).toMatchObject({ works: true })
  })

  test('proxy-url, without and with credentials', async () => {
    const ca = { 'certificate-authority': 'ca.pem' }
    const proxies = await Promise.all([startTinyproxy(), startTinyproxy({ credentials: ['me', 'pa55'] })])
    try {
      const [open, guarded] = proxies
      const { host } = new URL(cluster.server)
      for (const [url, proxy, works] of [
        [open.url, open, true],
        [`http://me:pa55@127.0.0.1:${guarded.port}`, guarded, true],
        [`http://me:wrong@127.0.0.1:${guarded.port}`, guarded, false],
      ] as const) {
        const text = config({ cluster: { ...ca, 'proxy-url': url } })
        const path = await writeOwnFile(join(folder.path, 'kube', 'proxy'), text)
        const before = (await proxy.tunnels()).length
        const { error } = await askOurs(path)
        if (works) expect(error).toBeUndefined()
        else {
          expect(error?.message).toContain(`the proxy http://127.0.0.1:${guarded.port} refused the credentials`)
          expect(error?.hints).toEqual(['check the proxy-url of the cluster in the kubeconfig (context "x")'])
          expect(`${String(error?.message)} ${JSON.stringify(error?.details)}`).not.toContain('wrong')
        }
        expect((await proxy.tunnels()).slice(before)).toEqual([host])
        for (const program of kubectls) expect(await askKubectl(program, path)).toMatchObject({ works })
      }
    } finally {
      await Promise.all(proxies.map((proxy) => proxy.stop()))
    }
  })

  test('insecure-skip-tls-verify is warned of; one that is checked is not', async () => {
    const insecure = config({ cluster: { 'insecure-skip-tls-verify': true } })
    const path = await writeOwnFile(join(folder.path, 'kube', 'insecure'), insecure)
    expect((await askOurs(path)).events).toEqual([
      { type: 'warning', warning: 'cluster-insecure', context: 'x', server: cluster.server },
    ])
    const secure = await writeOwnFile(join(folder.path, 'kube', 'secure'), config({}))
    expect((await askOurs(secure)).events).toEqual([])
  })
})
