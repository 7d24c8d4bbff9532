import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ClusterAccessError, InterruptedError, KyconnectError } from '../../src/errors.js'
import type { Credentials } from '../../src/kubernetes/cluster.js'
import { type KubeconfigDeps, openCluster } from '../../src/kubernetes/kubeconfig.js'
import type { ProgressEvent } from '../../src/progress.js'
import { temporaryFolder } from '../support/certificates.js'
import { kubeconfigDeps, kubeconfigOf, writeOwnFile } from '../support/kubeconfigs.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder('plugin')
})
afterAll(() => folder.remove())

const apiVersion = 'client.authentication.k8s.io/v1beta1'
const credential = (status: object, more: object = {}): string =>
  JSON.stringify({ kind: 'ExecCredential', apiVersion, status, ...more })
let count = 0

interface Opened {
  readonly credentials: () => Promise<Credentials>
  /** The folder of the plugin, which it is started in by its full path. */
  readonly at: string
}

/** A cluster whose user is a shell script; `$0`'s folder is the place for what it leaves. */
async function withPlugin(script: string, exec: object = {}, deps: Partial<KubeconfigDeps> = {}): Promise<Opened> {
  const at = join(folder.path, String(count++))
  await writeOwnFile(join(at, 'get-token'), `#!/bin/sh\ncd '${at}'\n${script}\n`, 0o700)
  const user = { exec: { apiVersion, command: './get-token', ...exec } }
  const cluster = {
    'tls-server-name': 'api.example',
    extensions: [{ name: 'client.authentication.k8s.io/exec', extension: { audience: 'kyma' } }],
  }
  const kubeconfig = await writeOwnFile(join(at, 'config'), kubeconfigOf([{ name: 'one', user, cluster }], 'one'))
  const choice = { kubeconfig, context: undefined, namespace: undefined }
  const { credentials } = await openCluster(choice, kubeconfigDeps(folder.path, deps))
  return { credentials, at }
}

async function failureOf(opened: Opened): Promise<KyconnectError> {
  const failure = await opened.credentials().catch((error: unknown) => error)
  if (failure instanceof KyconnectError) return failure
  throw new Error(`the plugin did not fail: ${JSON.stringify(failure)}`)
}

/** Whether a process is gone, a zombie counting as gone; it gets 10 seconds. */
async function isGone(pid: string): Promise<boolean> {
  for (let tries = 0; tries < 500; tries++) {
    const stat = await readFile(`/proc/${pid.trim()}/stat`, 'utf8').catch(() => '')
    if (stat === '' || /\) [ZX] /.test(stat)) return true
    await pause(20)
  }
  return false
}

async function contentOf(path: string): Promise<string> {
  for (let tries = 0; tries < 500; tries++) {
    const text = await readFile(path, 'utf8').catch(() => '')
    if (text.endsWith('\n')) return text
    await pause(20)
  }
  throw new Error(`${path} was not written`)
}

describe('an exec plugin', () => {
  test('gives a token; it gets its own variables and ours, and no token URL', async () => {
    const opened = await withPlugin(
      `env > seen; printf '${credential({ token: 'of-%s' })}' "$OF_THE_CONFIG"`,
      { env: [{ name: 'OF_THE_CONFIG', value: 'yes' }] },
      {
        environment: {
          PATH: process.env['PATH'],
          OURS: 'ours',
          KYCONNECT_TOKEN_URL: 'https://connector.example/?token=c2VjcmV0',
        },
      },
    )
    expect((await opened.credentials()).headers).toEqual({ authorization: 'Bearer of-yes' })
    const seen = await readFile(join(opened.at, 'seen'), 'utf8')
    expect(seen).toContain('OURS=ours')
    expect(seen).not.toContain('KYCONNECT_TOKEN_URL')
    expect(seen).not.toContain('token=')
  })

  test.each([
    [false, undefined],
    [true, { server: 'https://one.example:6443', 'tls-server-name': 'api.example', config: { audience: 'kyma' } }],
  ])('with provideClusterInfo %s: KUBERNETES_EXEC_INFO holds the cluster: %j', async (provideClusterInfo, cluster) => {
    const opened = await withPlugin(
      `printf '%s\\n' "$KUBERNETES_EXEC_INFO" > info; printf '${credential({ token: 'x' })}'`,
      { provideClusterInfo },
    )
    await opened.credentials()
    expect(JSON.parse(await readFile(join(opened.at, 'info'), 'utf8'))).toEqual({
      kind: 'ExecCredential',
      apiVersion,
      spec: { interactive: false, ...(cluster === undefined ? {} : { cluster }) },
    })
  })

  test.each([
    ['Never', true, false],
    ['IfAvailable', true, true],
    ['IfAvailable', false, false],
    ['Always', true, true],
    [undefined, true, true],
  ])(
    'with interactiveMode %s, on a terminal %s: learns that it may ask: %s',
    async (mode, isInteractive, interactive) => {
      const opened = await withPlugin(
        `printf '%s\\n' "$KUBERNETES_EXEC_INFO" > info; printf '${credential({ token: 'x' })}'`,
        mode === undefined ? {} : { interactiveMode: mode },
        { isInteractive },
      )
      await opened.credentials()
      const info = JSON.parse(await readFile(join(opened.at, 'info'), 'utf8')) as { spec: object }
      expect(info.spec).toEqual({ interactive })
    },
  )

  test('runs once until its credentials expire, and again after that', async () => {
    let now = new Date('2026-01-01T12:00:00Z')
    const opened = await withPlugin(
      `echo run >> runs; printf '${credential({ token: 'x', expirationTimestamp: '2026-01-01T12:05:00Z' })}'`,
      {},
      { now: () => now },
    )
    const runs = async (): Promise<number> => (await readFile(join(opened.at, 'runs'), 'utf8')).split('\n').length - 1
    await opened.credentials()
    await opened.credentials()
    expect(await runs()).toBe(1)
    now = new Date('2026-01-01T12:05:00Z')
    await opened.credentials()
    expect(await runs()).toBe(2)
  })

  test('is not run when the user has a token as well', async () => {
    const at = join(folder.path, 'beside')
    const user = { token: 'plain', exec: { apiVersion, command: '/nowhere/plugin' } }
    const kubeconfig = await writeOwnFile(at, kubeconfigOf([{ name: 'one', user }], 'one'))
    const choice = { kubeconfig, context: undefined, namespace: undefined }
    const { credentials } = await openCluster(choice, kubeconfigDeps(folder.path))
    expect((await credentials()).headers).toEqual({ authorization: 'Bearer plain' })
  })

  test('is passed on what it says while it runs: redacted, shortened, 20 lines', async () => {
    const events: ProgressEvent[] = []
    const secret = 'c2VjcmV0LXRva2VuLW9mLWEtcGx1Z2luLXRoYXQtaXMtbG9uZw'
    const opened = await withPlugin(
      `printf 'open https://login.example/?state=${secret} and enter ABCD\\n\\033[31mgot ${secret}\\n' >&2
for i in $(seq 100); do printf '%0500d\\n' 0 | tr 0 '.' >&2; done
printf '${credential({ token: 'x' })}'`,
      {},
      { emit: (event) => events.push(event) },
    )
    await opened.credentials()
    expect(events).toHaveLength(20)
    expect(events[0]).toEqual({
      type: 'notice',
      notice: 'plugin-message',
      plugin: './get-token',
      line: `open https://login.example/?state=${secret} and enter ABCD`,
    })
    expect(events[1]).toMatchObject({ line: 'got REDACTED' })
    expect(events[2]).toMatchObject({ line: '.'.repeat(300) })
  })
})

describe('an exec plugin that fails', () => {
  test('is named, with its last words, redacted', async () => {
    const failure = await failureOf(
      await withPlugin(`echo first >&2; echo "log in first: token=abcdefghijklmnopqrstuvwxyz" >&2; exit 3`),
    )
    expect(failure).toBeInstanceOf(ClusterAccessError)
    expect(failure.message).toBe('the exec plugin ./get-token failed with exit code 3: log in first: token=REDACTED')
  })

  test.each([
    ['nonsense', 'did not print a JSON object'],
    ['{}', 'did not print an ExecCredential'],
    [
      JSON.stringify({ kind: 'ExecCredential', apiVersion: 'client.authentication.k8s.io/v1', status: {} }),
      'another apiVersion',
    ],
    [credential({}), 'neither a token nor a client certificate'],
    [credential({ clientKeyData: 'secret' }), 'a key without its certificate'],
    [credential({ clientCertificateData: 'x' }), 'a client certificate without its key'],
    [credential({ token: 'x', expirationTimestamp: 'soon' }), 'not a date'],
    [credential({ clientCertificateData: 'secret', clientKeyData: 'secret' }), 'is not valid PEM'],
  ])('by printing %s: nothing of it is repeated', async (output, expected) => {
    const failure = await failureOf(await withPlugin(`printf '%s' '${output}'`))
    expect(failure).toBeInstanceOf(ClusterAccessError)
    expect(failure.message).toContain(expected)
    expect(failure.message).not.toContain('secret')
    expect(failure.message).not.toContain('nonsense')
  })

  test.each([
    ['silence', 'echo $$ > pid; sleep 1000 & echo $! > child; wait', 300, 'gave no credentials within 0.3 s'],
    ['deafness', "trap '' TERM; echo $$ > pid; while :; do sleep 1; done", 300, 'gave no credentials within 0.3 s'],
    ['a flood', 'echo $$ > pid; yes', 60_000, 'wrote more than 1 MiB to standard output'],
  ])('by %s is ended, with all that it started', async (_, script, pluginTimeoutMs, expected) => {
    const opened = await withPlugin(script, {}, { pluginTimeoutMs })
    const failure = await failureOf(opened)
    expect(failure.message).toContain(expected)
    expect(await isGone(await contentOf(join(opened.at, 'pid')))).toBe(true)
    if (script.includes('child')) expect(await isGone(await contentOf(join(opened.at, 'child')))).toBe(true)
  })

  test('by an interruption is ended, and the interruption is the error', async () => {
    const controller = new AbortController()
    const opened = await withPlugin('sleep 1000 & echo $! > child; wait', {}, { signal: controller.signal })
    const asked = opened.credentials().catch((error: unknown) => error)
    const child = await contentOf(join(opened.at, 'child'))
    controller.abort(new InterruptedError('interrupted'))
    expect(await asked).toBeInstanceOf(InterruptedError)
    expect(await isGone(child)).toBe(true)
  })

  test('by leaving a process behind that holds its output: its own end by the time limit', async () => {
    const opened = await withPlugin(
      `printf '${credential({ token: 'x' })}'; sleep 1000 & exit 0`,
      {},
      { pluginTimeoutMs: 500 },
    )
    const failure = await failureOf(opened)
    expect(failure.message).toContain('gave no credentials within 0.5 s')
  })

  test.each([
    [{ command: './missing' }, /^the exec plugin \.\/missing does not exist \(\/.*\/missing\)$/, 'ENOENT'],
    [{ command: '/nowhere/missing' }, /^the exec plugin \/nowhere\/missing does not exist$/, 'ENOENT'],
    [{ command: 'no-such-plugin' }, /^the exec plugin no-such-plugin is not in PATH$/, 'ENOENT'],
    [{ command: './config' }, /^the exec plugin \.\/config is not executable/, 'EACCES'],
    [{ interactiveMode: 'Always' }, /^the exec plugin \.\/get-token needs a terminal/, 'NOT_INTERACTIVE'],
  ])('because of %j is named as such', async (exec, message, reason) => {
    const failure = await failureOf(
      await withPlugin('exit 0', { installHint: 'get it from\nhttps://example.com', ...exec }),
    )
    expect(failure).toBeInstanceOf(ClusterAccessError)
    expect(failure.message).toMatch(message)
    expect(failure.reason).toBe(reason)
    if (reason === 'ENOENT') expect(failure.hints[0]).toBe('get it from https://example.com')
  })

  test.each([
    ['a NUL character in a variable', { env: [{ name: 'KEY', value: 'my-secret\0' }] }, /a NUL character is in its/],
    ['a NUL character in an argument', { args: ['my-secret\0'] }, /a NUL character is in its/],
    ['an argument that is too long', { args: ['my-secret'.repeat(20_000)] }, /cannot be started: E2BIG/],
  ])('because of %s is named, and no argument or variable is repeated', async (_, exec, message) => {
    const failure = await failureOf(await withPlugin('true', exec))
    expect(failure).toBeInstanceOf(ClusterAccessError)
    expect(failure.message).toMatch(message)
    expect(JSON.stringify([failure.message, failure.hints, failure.details])).not.toContain('my-secret')
  })

  test('because its token holds a line break is named, before anything is sent', async () => {
    const failure = await failureOf(await withPlugin(`printf '%s' '${credential({ token: 'my-secret\r\nx: y' })}'`))
    expect(failure.message).toMatch(/its token holds a line break/)
    expect(failure.message).not.toContain('my-secret')
  })

  test('because its interpreter is missing is named as such', async () => {
    const at = join(folder.path, 'interpreter')
    await writeOwnFile(join(at, 'plugin'), '#!/nowhere/interpreter\n', 0o700)
    const user = { exec: { apiVersion, command: './plugin' } }
    const kubeconfig = await writeOwnFile(join(at, 'config'), kubeconfigOf([{ name: 'one', user }], 'one'))
    const { credentials } = await openCluster(
      { kubeconfig, context: undefined, namespace: undefined },
      kubeconfigDeps(folder.path),
    )
    await expect(credentials()).rejects.toThrow('the exec plugin ./plugin cannot be started: ENOENT')
  })
})
