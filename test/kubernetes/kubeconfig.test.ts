import { mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KyconnectError, UsageError } from '../../src/errors.js'
import type { ClusterChoice } from '../../src/kubernetes/cluster.js'
import { hasCluster, type KubeconfigDeps, openCluster } from '../../src/kubernetes/kubeconfig.js'
import { temporaryFolder } from '../support/certificates.js'
import { kubeconfigDeps, kubeconfigOf } from '../support/kubeconfigs.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder('kubeconfig')
})
afterAll(() => folder.remove())

const nothing: ClusterChoice = { kubeconfig: undefined, context: undefined, namespace: undefined }
const secret = 'c2VjcmV0LW9mLWEtdGVzdA'

async function file(name: string, content: string): Promise<string> {
  const path = join(folder.path, name)
  await writeFile(path, content, { mode: 0o600 })
  return path
}

const runtime = (environment: Readonly<Record<string, string>> = {}, userHome = folder.path): KubeconfigDeps =>
  kubeconfigDeps(userHome, { environment: { PATH: process.env['PATH'], ...environment } })

async function refusal(choice: ClusterChoice, environment: Record<string, string> = {}): Promise<KyconnectError> {
  const failure = await openCluster(choice, runtime(environment)).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (failure instanceof KyconnectError) return failure
  throw new Error(`no refusal: ${String(failure)}`)
}

describe('a kubeconfig', () => {
  test('gives server, namespace and credentials of its current context', async () => {
    const path = await file('plain', kubeconfigOf([{ name: 'one', namespace: 'shop' }, { name: 'two' }], 'one'))
    const cluster = await openCluster({ ...nothing, kubeconfig: path }, runtime())
    expect([cluster.context, cluster.server.origin, cluster.namespace]).toEqual([
      'one',
      'https://one.example:6443',
      'shop',
    ])
    expect((await cluster.credentials()).headers).toEqual({ authorization: `Bearer ${secret}` })
  })

  test('may impersonate a user with any name: it is sent as UTF-8, as kubectl sends it', async () => {
    const user = { token: secret, as: 'jürgen☃', 'as-user-extra': { '\ud800': ['b'] } }
    const path = await file('impersonation', kubeconfigOf([{ name: 'one', user }], 'one'))
    const { headers } = await (await openCluster({ ...nothing, kubeconfig: path }, runtime())).credentials()
    expect(Buffer.from(String(headers['impersonate-user']), 'latin1').toString('utf8')).toBe('jürgen☃')
    expect(headers['impersonate-extra-%EF%BF%BD']).toEqual(['b'])
  })

  test('is overruled by --context and --namespace; without a namespace it is default', async () => {
    const path = await file('two', kubeconfigOf([{ name: 'one', namespace: 'shop' }, { name: 'two' }], 'one'))
    const other = await openCluster({ kubeconfig: path, context: 'two', namespace: undefined }, runtime())
    expect([other.context, other.namespace]).toEqual(['two', 'default'])
    const named = await openCluster({ kubeconfig: path, context: 'two', namespace: 'erp' }, runtime())
    expect(named.namespace).toBe('erp')
  })

  test('may be several files: the first of a name counts, one that is missing is passed over', async () => {
    const first = await file('first', kubeconfigOf([{ name: 'a', server: 'https://first.example' }]))
    const second = await file(
      'second',
      kubeconfigOf([{ name: 'a', server: 'https://second.example' }, { name: 'b' }], 'b'),
    )
    const KUBECONFIG = [join(folder.path, 'missing'), first, second].join(delimiter)
    expect((await openCluster(nothing, runtime({ KUBECONFIG }))).context).toBe('b')
    const a = await openCluster({ ...nothing, context: 'a' }, runtime({ KUBECONFIG }))
    expect(a.server.host).toBe('first.example')
  })

  test('is found in ~/.kube when nothing names one, and --kubeconfig comes before KUBECONFIG', async () => {
    const home = join(folder.path, 'home')
    await mkdir(join(home, '.kube'), { recursive: true })
    expect(await hasCluster(nothing, runtime({}, home))).toBe(false)
    await writeFile(join(home, '.kube', 'config'), kubeconfigOf([{ name: 'mine' }], 'mine'))
    expect(await hasCluster(nothing, runtime({}, home))).toBe(true)
    expect((await openCluster(nothing, runtime({}, home))).context).toBe('mine')
    const [flag, variable] = [
      await file('flag', kubeconfigOf([{ name: 'flag' }], 'flag')),
      await file('variable', kubeconfigOf([{ name: 'variable' }], 'variable')),
    ]
    const choice = { ...nothing, kubeconfig: flag }
    expect((await openCluster(choice, runtime({ KUBECONFIG: variable }, home))).context).toBe('flag')
    expect((await openCluster(nothing, runtime({ KUBECONFIG: variable }, home))).context).toBe('variable')
    expect(await hasCluster(nothing, runtime({ KUBECONFIG: '' }, join(folder.path, 'nowhere')))).toBe(false)
  })

  test('without a context that can be used is refused, and what there is is named', async () => {
    const path = await file('none', kubeconfigOf([{ name: 'one' }, { name: 'two' }]))
    const choice = { ...nothing, kubeconfig: path }
    expect((await refusal(choice)).message).toContain('has no current context')
    const unknown = await refusal({ ...choice, context: 'three' })
    expect(unknown).toBeInstanceOf(UsageError)
    expect(`${unknown.message} ${unknown.hints.join('; ')}`).toMatch(/no context "three".*--context <name>: one, two/)
    expect((await refusal(nothing)).message).toBe('no kubeconfig found, and not running in a pod')
    expect((await refusal(nothing, { KUBECONFIG: '/nowhere/a:/nowhere/b' })).message).toContain(
      'none of the files of KUBECONFIG exists',
    )
    expect((await refusal({ ...nothing, kubeconfig: '/nowhere/a' })).message).toBe(
      'the kubeconfig "/nowhere/a" cannot be read: it does not exist',
    )
  })

  test('of plain http, or of no URL at all, is refused: credentials are sent over https only', async () => {
    for (const server of ['http://one.example', 'nonsense', '']) {
      const path = await file('http', kubeconfigOf([{ name: 'one', server }], 'one'))
      expect(await refusal({ ...nothing, kubeconfig: path })).toBeInstanceOf(UsageError)
    }
  })

  test.each([
    ['no YAML', `{"users": [ "${secret}", `],
    ['YAML of something else', `- ${secret}`],
    ['nothing', ''],
    ['a list where an object belongs', `{"clusters": "${secret}", "users": 1, "contexts": 2}`],
  ])('that holds %s is refused, and nothing of it is repeated', async (_, content) => {
    const path = await file('broken', content)
    const failure = await refusal({ ...nothing, kubeconfig: path })
    expect(failure).toBeInstanceOf(UsageError)
    expect(
      `${failure.message} ${failure.hints.join('; ')} ${String(failure.stack)} ${String(failure.cause)}`,
    ).not.toContain(secret)
  })
})
