import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { makeAuthority, temporaryFolder } from '../support/certificates.js'
import {
  type ClusterFaults,
  type FakeCluster,
  kubeconfigText,
  okStatus,
  startFakeCluster,
  status,
} from '../support/fake-cluster.js'
import { type FakeKyma, json, startFakeKyma } from '../support/fake-kyma.js'
import { kubeconfigOf, writeOwnFile } from '../support/kubeconfigs.js'
import { jsonError, kyconnect, program, type Run, type Running, start } from '../support/kyconnect.js'

/** A cluster that misbehaves in every way: what happens to the TokenRequest and to the identity. */

/** What the fake cluster's kubeconfig holds. */
const bearer = 'dG9rZW4tb2YtdGhlLWZha2UtY2x1c3Rlcg'

let cluster: FakeCluster
let kyma: FakeKyma
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let home = ''
let homes = 0

beforeAll(async () => {
  ;[cluster, kyma, folder] = await Promise.all([startFakeCluster(), startFakeKyma(), temporaryFolder('kubernetes')])
})
afterAll(async () => {
  await Promise.all([cluster.stop(), kyma.stop()])
  await folder.remove()
})
beforeEach(() => {
  cluster.faults = {}
  kyma.faults = {}
  cluster.requests.length = 0
  cluster.deletions.length = 0
  kyma.requests.length = 0
  cluster.tokenRequests.clear()
  cluster.applications.clear()
  cluster.applications.add('demo')
  cluster.services = [gatewayService('NodePort', kyma.gatewayPort)]
  cluster.tokenUrl = kyma.tokenUrl
  home = join(folder.path, `home-${homes++}`)
})

function gatewayService(type: string, nodePort?: number): object {
  return {
    name: 'application-connector-ingress-nginx-ingress-controller',
    metadata: { name: 'application-connector-ingress-nginx-ingress-controller', namespace: 'kyma-system' },
    spec: {
      type,
      ports: [
        { port: 80, nodePort: 30080 },
        { port: 443, ...(nodePort === undefined ? {} : { nodePort }) },
      ],
    },
    status: { loadBalancer: type === 'LoadBalancer' ? { ingress: [{ ip: '203.0.113.7' }] } : {} },
  }
}

const env = (more: Record<string, string | undefined> = {}): Record<string, string | undefined> => ({
  KYCONNECT_CA_FILE: kyma.env['KYCONNECT_CA_FILE'],
  KYCONNECT_RESOLVE: kyma.env['KYCONNECT_RESOLVE'],
  KYCONNECT_HOME: home,
  HOME: folder.path,
  KUBECONFIG: cluster.kubeconfig,
  ...more,
})

function pair(args: readonly string[] = [], more: Record<string, string | undefined> = {}): Promise<Run> {
  return kyconnect(['pair', '--app', 'demo', '--node-port', 'auto', '--json', '--timeout', '30', ...args], {
    env: env(more),
  })
}

async function expectFailure(run: Run, exitCode: number, code: string, says: RegExp): Promise<void> {
  const error = jsonError(run)
  expect([run.code, error.code, error.exitCode], run.stderr).toEqual([exitCode, code, exitCode])
  expect(`${error.message} ${error.hint}`).toMatch(says)
  expect(error.hint).not.toBe('')
  expect(run.stdout).toBe('')
  expect(run.stderr).not.toContain(bearer)
  // But for the locks, which stay.
  expect((await readdir(home).catch((): string[] => [])).filter((name) => name !== '.locks')).toEqual([])
}

const tokenRequest = '/apis/applicationconnector.kyma-project.io/v1alpha1/namespaces/default/tokenrequests'
const refuse =
  (method: string, path: RegExp, code: number, body: object | string) =>
  (asked: string, where: string, query: URLSearchParams): { status: number; body: object | string } | undefined =>
    asked === method && path.test(`${where}?${query.toString()}`) ? { status: code, body } : undefined

describe('pair --app with a cluster', () => {
  test('does it all: creates a TokenRequest, watches it, pairs, reads the NodePort, and deletes it', async () => {
    const done = await kyconnect(['pair', '--app', 'demo', '--node-port', 'auto'], { env: env() })
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).toContain(`Cluster: context fake, https://localhost:${cluster.port}, namespace default`)
    expect(cluster.tokenRequests.size).toBe(0)
    const verbs = cluster.requests.map((line) => line.replace(/\?.*/, '').replace(tokenRequest, 'T'))
    expect(verbs.filter((line) => line.includes(' T'))).toEqual(['GET T/demo', 'POST T', 'GET T', 'DELETE T/demo'])
    const info = await kyconnect(['info', '--json'], { env: { KYCONNECT_HOME: home } })
    expect(JSON.parse(info.stdout)).toMatchObject({ app: 'demo', nodePort: kyma.gatewayPort })
    expect((await kyconnect(['call', 'info'], { env: { KYCONNECT_HOME: home } })).code).toBe(0)
  })

  test('shows no credential and no token with --verbose, also when the cluster repeats them', async () => {
    const token = (kyma.tokenUrl.split('token=')[1] ?? '').replace(/=+$/, '')
    const args = ['pair', '--app', 'demo', '--node-port', 'auto', '--verbose']
    const done = await kyconnect(args, { env: env() })
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).toContain(`> POST https://localhost:${cluster.port}${tokenRequest}`)
    cluster.faults.answer = refuse('DELETE', /./, 403, status(403, 'Forbidden', `no ${kyma.tokenUrl} for ${token}==`))
    const repeated = await kyconnect([...args, '--force'], { env: env() })
    expect(repeated.stderr).toContain('could not be deleted')
    for (const { stdout, stderr } of [done, repeated]) {
      expect(stdout + stderr).not.toContain(token)
      expect(stdout + stderr).not.toContain(bearer)
    }
  })

  test('is not asked when a URL is given', async () => {
    const given = await pair(['--node-port', String(kyma.gatewayPort), '--url', kyma.tokenUrl])
    expect(given.code, given.stderr).toBe(0)
    home = `${home}-variable`
    const variable = await pair(['--node-port', String(kyma.gatewayPort)], { KYCONNECT_TOKEN_URL: kyma.tokenUrl })
    expect(variable.code, variable.stderr).toBe(0)
    expect(cluster.requests).toEqual([])
  })

  test('may be asked for the NodePort alone, beside --url', async () => {
    const args = ['pair', '--url', kyma.tokenUrl, '--context', 'fake', '--node-port', 'auto', '--json']
    const done = await kyconnect(args, { env: env() })
    expect(done.code, done.stderr).toBe(0)
    expect(cluster.requests).toEqual([expect.stringContaining('/services/')])
    const info = await kyconnect(['info', '--json'], { env: { KYCONNECT_HOME: home } })
    expect(JSON.parse(info.stdout)).toMatchObject({ app: 'demo', nodePort: kyma.gatewayPort })
  })

  test('asks nothing of the cluster when the profile exists: no token is made', async () => {
    expect((await pair()).code).toBe(0)
    cluster.requests.length = 0
    const again = await pair(['--node-port', String(kyma.gatewayPort)])
    expect([again.code, jsonError(again).code]).toEqual([2, 'ERR_PROFILE_EXISTS'])
    expect(cluster.requests).toEqual([])
  })

  test('replaces a TokenRequest that is there, by its UID, with a warning when its token is still good', async () => {
    const old = {
      metadata: { name: 'demo', namespace: 'default', uid: 'old', resourceVersion: '7' },
      status: okStatus('https://old.example/?token=stale'),
    }
    cluster.tokenRequests.set('demo', old)
    const done = await pair()
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).toMatch(/"code":"token-request-replaced"/)
    cluster.tokenRequests.set('demo', { ...old, status: okStatus('https://old.example/?token=stale', new Date(0)) })
    const silent = await pair(['--force'])
    expect(silent.code, silent.stderr).toBe(0)
    expect(silent.stderr).not.toContain('was there')
  })

  test('sends tenant and group as context, both or neither', async () => {
    let seen: unknown
    cluster.faults.controller = (request) => {
      seen = request.context
      return okStatus(kyma.tokenUrl)
    }
    expect((await pair(['--tenant', 't', '--group', 'g'])).code).toBe(0)
    expect(seen).toEqual({ tenant: 't', group: 'g' })
    home = `${home}-half`
    await expectFailure(await pair(['--tenant', 't']), 2, 'ERR_USAGE', /need each other/)
  })

  test('warns of an App that is not there, and creates it with --create-app', async () => {
    cluster.applications.clear()
    const done = await pair()
    expect([done.code, done.stderr]).toEqual([0, expect.stringMatching(/"code":"application-missing"/)])
    expect(cluster.applications.size).toBe(0)
    expect((await pair(['--force', '--create-app'])).code).toBe(0)
    expect([...cluster.applications]).toEqual(['demo'])
  })

  test('survives dropped watches, 410 Gone, a slow controller, and an Error that is not final', async () => {
    cluster.faults = {
      dropWatches: 3,
      expireWatches: 1,
      controllerEvery: 600,
      controller: (_, attempt) =>
        attempt < 3 ? undefined : attempt < 5 ? { state: 'Error', expireAfter: null } : okStatus(kyma.tokenUrl),
    }
    const done = await pair()
    expect(done.code, done.stderr).toBe(0)
    expect(cluster.tokenRequests.size).toBe(0)
  })
})

describe('kyconnect token', () => {
  test('prints the URL and nothing else, and tidies up', async () => {
    const done = await kyconnect(['token', '--app', 'demo'], { env: env() })
    expect([done.code, done.stdout]).toEqual([0, `${kyma.tokenUrl}\n`])
    expect(done.stderr).not.toContain('token=' + (kyma.tokenUrl.split('token=')[1] ?? ''))
    expect(cluster.tokenRequests.size).toBe(0)
    const asJson = await kyconnect(['token', '--app', 'demo', '--json'], { env: env() })
    expect(JSON.parse(asJson.stdout)).toEqual({ app: 'demo', url: kyma.tokenUrl })
    const paired = await kyconnect(['pair', '--url', '-', '--node-port', String(kyma.gatewayPort)], {
      env: env(),
      input: done.stdout,
    })
    expect(paired.code, paired.stderr).toBe(0)
  })

  test('does not pass on a URL that is not https', async () => {
    cluster.tokenUrl = 'http://connector.example/?token=c2VjcmV0c2VjcmV0'
    const done = await kyconnect(['token', '--app', 'demo', '--json'], { env: env() })
    await expectFailure(done, 2, 'ERR_TOKEN_URL_INVALID', /only https/)
    expect(cluster.tokenRequests.size).toBe(0)
  })
})

describe('a context whose name a shell would split', () => {
  const context = "it's mine"

  test.each<[string, ClusterFaults, RegExp]>([
    [
      'the credentials are refused',
      { answer: refuse('POST', /tokenrequests/, 401, status(401, 'Unauthorized', '')) },
      /get/,
    ],
    ['a right is missing', { answer: refuse('POST', /tokenrequests/, 403, status(403, 'Forbidden', 'no')) }, /auth/],
    ['a request is refused', { answer: refuse('POST', /tokenrequests/, 422, status(422, 'Invalid', '')) }, /get/],
    ['the kind is unknown', { answer: refuse('POST', /tokenrequests/, 404, 'page not found') }, /get crd/],
    ['no token was issued', { controller: () => ({ state: 'OK', url: '' }) }, /-n kyma-integration logs/],
  ])('is quoted in the command that a hint names: %s', async (_, faults, command) => {
    cluster.faults = faults
    const text = await readFile(cluster.kubeconfig, 'utf8')
    const kubeconfig = await writeOwnFile(
      join(folder.path, 'odd'),
      text.replaceAll(/"(name|current-context)":"fake"/g, `"$1":"${context}"`).replaceAll(/:"fake"/g, `:"${context}"`),
    )
    const done = await pair([], { KUBECONFIG: kubeconfig })
    expect(jsonError(done).hint).toMatch(new RegExp(`kubectl --context 'it'\\\\''s mine' .*${command.source}`))
  })

  test('is quoted in the list of contexts to choose from', async () => {
    const kubeconfig = await writeOwnFile(
      join(folder.path, 'listed'),
      kubeconfigOf([{ name: context }, { name: 'two' }]),
    )
    expect(jsonError(await pair([], { KUBECONFIG: kubeconfig })).hint).toContain(
      `--context <name>: 'it'\\''s mine', two`,
    )
  })
})

describe('a controller that says OK without a URL', () => {
  const withoutUrl = { application: 'demo', state: 'OK', token: '', url: '', expireAfter: '2030-01-01T00:00:00Z' }

  test.each([
    ['neither tenant nor group', [], /if the cluster runs in central mode.*--tenant <name> --group <name>/],
    ['both', ['--tenant', 't', '--group', 'g'], /check the tenant "t" and the group "g"/],
  ])('is reported at once, with what to do; given %s', async (_, args, hint) => {
    cluster.faults.controller = () => withoutUrl
    // Far longer than the test may take.
    const done = await pair(['--wait', '3600', ...args])
    await expectFailure(done, 6, 'ERR_REQUEST_REFUSED', /status of its TokenRequest is OK, but the URL is empty/)
    expect(jsonError(done).hint).toMatch(hint)
    expect(jsonError(done).hint).toMatch(/log of the controller: kubectl --context fake -n kyma-integration logs/)
    expect(jsonError(done).reason).toBe('EMPTY_URL')
    expect(cluster.tokenRequests.size).toBe(0)
  })
})

describe('--tenant and --group', () => {
  const owner = ['--tenant', 'blue', '--group', 'team']
  const warnings = ({ stderr }: Run): unknown[] =>
    stderr
      .split('\n')
      .filter((line) => line.includes('"owner-ignored"'))
      .map((line) => {
        const { warning } = JSON.parse(line) as { warning: Record<string, unknown> }
        return [warning['tenant'], warning['group'], warning['by']]
      })

  test('are warned of when the certificate does not carry them', async () => {
    const done = await pair(owner)
    expect(done.code, done.stderr).toBe(0)
    expect(warnings(done)).toEqual([['blue', 'team', 'connector']])
  })

  test('are not warned of when it does', async () => {
    const done = await pair(['--tenant', 'Organization', '--group', 'OrgUnit'])
    expect([done.code, warnings(done)], done.stderr).toEqual([0, []])
  })

  test.each(['pair', 'token'])(
    'are warned of once when the cluster drops them from the TokenRequest: %s',
    async (command) => {
      cluster.faults.prunesContext = true
      const port = command === 'pair' ? ['--node-port', String(kyma.gatewayPort)] : []
      const done = await kyconnect([command, '--app', 'demo', '--json', ...owner, ...port], { env: env() })
      expect(done.code, done.stderr).toBe(0)
      expect(warnings(done)).toEqual([['blue', 'team', 'cluster']])
    },
  )
})

test.each([['--tenant', 'blue'], ['--group', 'team'], ['--namespace', 'x'], ['--wait', '5'], ['--create-app']])(
  '%s is for a TokenRequest, and is refused beside --url',
  async (...flag) => {
    const done = await kyconnect(['pair', '--json', '--url', kyma.tokenUrl, ...flag], { env: env() })
    expect([done.code, jsonError(done).message]).toEqual([2, `--url and ${flag[0]} exclude each other`])
    expect(kyma.requests).toEqual([])
  },
)

describe('what was created is deleted', () => {
  test('by its UID, always: also the one that was there before', async () => {
    const uids: string[] = []
    const old = { name: 'demo', namespace: 'default', uid: 'old', resourceVersion: '7' }
    cluster.tokenRequests.set('demo', { metadata: old })
    cluster.faults.controller = ({ metadata }) => {
      uids.push(metadata.uid)
      return okStatus(kyma.tokenUrl)
    }
    expect((await pair()).code).toBe(0)
    expect(uids).toHaveLength(1)
    expect(cluster.deletions.map((body) => JSON.parse(body) as unknown)).toEqual(
      ['old', ...uids].map((uid) => ({ kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid } })),
    )
  })

  test("and another program's TokenRequest of the same name is left alone", async () => {
    const other = { metadata: { name: 'demo', namespace: 'default', uid: 'other', resourceVersion: '900' } }
    kyma.faults.info = (_, response) => {
      cluster.tokenRequests.set('demo', other)
      json(response, 200, kyma.goodInfo())
    }
    const done = await pair()
    expect(done.code, done.stderr).toBe(0)
    expect(cluster.tokenRequests.get('demo')).toBe(other)
  })

  const html = '<html><body>a proxy</body></html>'
  const oddAnswers: readonly (readonly [string, NonNullable<ClusterFaults['creation']>, number, string])[] = [
    ['201 without anything', { status: 201, body: () => ({}) }, 7, 'ERR_ANSWER_MALFORMED'],
    [
      '201 without a UID',
      { status: 201, body: () => ({ metadata: { name: 'demo', resourceVersion: '5' } }) },
      7,
      'ERR_ANSWER_MALFORMED',
    ],
    [
      '201 without a version',
      { status: 201, body: () => ({ metadata: { name: 'demo', uid: 'x' } }) },
      7,
      'ERR_ANSWER_MALFORMED',
    ],
    [
      '201 with another name',
      { status: 201, body: () => ({ metadata: { name: 'x', uid: 'x', resourceVersion: '5' } }) },
      7,
      'ERR_ANSWER_MALFORMED',
    ],
    ['201 with a list', { status: 201, body: () => [] }, 7, 'ERR_ANSWER_MALFORMED'],
    ['201 with nonsense', { status: 201, body: () => '{"metadata":' }, 7, 'ERR_ANSWER_MALFORMED'],
    ['200 with HTML', { status: 200, body: () => html }, 7, 'ERR_ANSWER_MALFORMED'],
    ['301 with HTML', { status: 301, body: () => html }, 7, 'ERR_ANSWER_MALFORMED'],
    ['403 with the HTML of a proxy', { status: 403, body: () => html }, 6, 'ERR_REQUEST_REFUSED'],
    ['409 with the HTML of a proxy', { status: 409, body: () => html }, 6, 'ERR_REQUEST_REFUSED'],
    ['502 with the HTML of a proxy', { status: 502, body: () => html }, 7, 'ERR_SERVICE_FAILED'],
    ['a connection that is cut', 'reset', 8, 'ERR_NETWORK'],
  ]
  test.each(oddAnswers)('when its creation is answered by %s', async (_, creation, exitCode, code) => {
    cluster.faults = { creation, controller: () => undefined }
    const done = await pair()
    expect([done.code, jsonError(done).code], done.stderr).toEqual([exitCode, code])
    expect(cluster.requests.filter((line) => line.startsWith('POST'))).toHaveLength(1)
    expect(cluster.tokenRequests.size).toBe(0)
    expect(JSON.parse(cluster.deletions[0] ?? '{}')).toHaveProperty('preconditions.uid')
  })

  test('when it appears only after the time limit', async () => {
    cluster.faults = { creation: 'silence', creationDelayMs: 4300, controller: () => undefined }
    const done = await pair(['--timeout', '4'])
    expect([done.code, jsonError(done).code], done.stderr).toEqual([8, 'ERR_TIMEOUT'])
    expect(cluster.deletions).toHaveLength(1)
    expect(cluster.tokenRequests.size).toBe(0)
  })

  test('and when that fails, the error says how to delete it', async () => {
    cluster.faults = {
      creation: 'reset',
      controller: () => undefined,
      answer: refuse('DELETE', /tokenrequests/, 403, status(403, 'Forbidden', 'no')),
    }
    const done = await pair()
    expect(done.code).toBe(8)
    expect(jsonError(done).hint).toMatch(/kubectl --context fake -n default delete tokenrequests\.\S+ demo/)
  })
})

describe('what a cluster refuses', () => {
  const forbidden = (verb: string): object =>
    status(
      403,
      'Forbidden',
      `tokenrequests.applicationconnector.kyma-project.io is forbidden: User "ci" cannot ${verb} resource "tokenrequests"`,
    )
  const rows: [string, NonNullable<FakeCluster['faults']['answer']>, number, string, RegExp][] = [
    [
      '401',
      refuse('GET', /./, 401, status(401, 'Unauthorized', 'Unauthorized')),
      6,
      'ERR_REQUEST_REFUSED',
      /does not accept the credentials.*401/,
    ],
    [
      '403 on get',
      refuse('GET', /tokenrequests\/demo/, 403, forbidden('get')),
      6,
      'ERR_REQUEST_REFUSED',
      /does not allow the account to get tokenrequests\S* "demo" in the namespace "default".*right to get/,
    ],
    [
      '403 on create',
      refuse('POST', /tokenrequests/, 403, forbidden('create')),
      6,
      'ERR_REQUEST_REFUSED',
      /does not allow the account to create tokenrequests.*right to create/,
    ],
    [
      '403 on watch',
      refuse('GET', /tokenrequests\?/, 403, forbidden('watch')),
      6,
      'ERR_REQUEST_REFUSED',
      /does not allow the account to watch tokenrequests.*auth can-i watch/,
    ],
    [
      'no such kind',
      refuse('GET', /tokenrequests/, 404, '404 page not found\n'),
      6,
      'ERR_REQUEST_REFUSED',
      /Application Connector is not installed/,
    ],
    [
      'a failing API server',
      refuse('GET', /tokenrequests/, 500, status(500, 'InternalError', 'etcd')),
      7,
      'ERR_SERVICE_FAILED',
      /failed to get tokenrequests.*etcd/,
    ],
  ]
  test.each(rows)('%s is reported, with verb, resource and namespace', async (_, answer, exitCode, code, says) => {
    cluster.faults.answer = answer
    await expectFailure(await pair(['--node-port', '30443']), exitCode, code, says)
    expect(cluster.tokenRequests.size).toBe(0)
  })

  test('403 on delete: paired all the same, with a warning and the command that deletes', async () => {
    cluster.faults.answer = refuse('DELETE', /tokenrequests/, 403, forbidden('delete'))
    const done = await pair()
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).toMatch(
      /could not be deleted.*kubectl --context fake -n default delete tokenrequests\.\S+ demo/,
    )
  })

  test('a namespace that is not there: 6', async () => {
    await expectFailure(await pair(['-n', 'nowhere']), 6, 'ERR_REQUEST_REFUSED', /no namespace "nowhere".*--namespace/)
  })

  test('no kubeconfig, an unknown context: 2', async () => {
    await expectFailure(
      await pair(['--context', 'other']),
      2,
      'ERR_USAGE',
      /no context "other".*--context <name>: fake/,
    )
    await expectFailure(await pair([], { KUBECONFIG: '' }), 2, 'ERR_USAGE', /no kubeconfig/)
    const none = await pair(['--node-port', '30443'], { KUBECONFIG: '' })
    await expectFailure(none, 2, 'ERR_USAGE', /no token URL was given/)
  })

  test('an API server that is down: 8; one whose certificate another CA signed: 4', async () => {
    const ca = await readFile((await makeAuthority(folder.path, 'another', 'ec')).certificateFile)
    const down = join(folder.path, 'down')
    await writeFile(down, kubeconfigText('https://localhost:1', ca, 'x'))
    await expectFailure(
      await pair(['--node-port', '30443'], { KUBECONFIG: down }),
      8,
      'ERR_NETWORK',
      /cannot be reached: connection refused/,
    )
    const wrong = join(folder.path, 'wrong')
    await writeFile(wrong, kubeconfigText(`https://localhost:${cluster.port}`, ca, 'x'))
    await expectFailure(
      await pair([], { KUBECONFIG: wrong }),
      4,
      'ERR_CLUSTER_ACCESS',
      /is not trusted.*CA.* in the kubeconfig/,
    )
  })

  test.each([
    [
      'silent: 8',
      undefined,
      8,
      'ERR_TIMEOUT',
      /no token URL arrived within 1 s: the cluster's controller did not handle.*controller is running/,
    ],
    [
      'saying Error: 7',
      { state: 'Error', expireAfter: null },
      7,
      'ERR_SERVICE_FAILED',
      /state of the TokenRequest "demo" is "Error"/,
    ],
    ['saying ERR: 7', { state: 'ERR' }, 7, 'ERR_SERVICE_FAILED', /is "ERR"/],
  ])('a controller that stays %s', async (_, said, exitCode, code, says) => {
    cluster.faults.controller = () => said
    await expectFailure(await pair(['--wait', '1']), exitCode, code, says)
    expect(cluster.tokenRequests.size).toBe(0)
  })

  test.each([
    ['a time-out: 8', undefined, 8],
    ['Ctrl-C: 130', 'SIGINT', 130],
  ] as const)('a creation whose answer is lost by %s leaves no TokenRequest either', async (_, signal, exitCode) => {
    cluster.faults = { creation: 'silence', controller: () => undefined }
    const running = start(process.execPath, [program, 'pair', '--app', 'demo', '--json', '--timeout', '5'], {
      env: env(),
    })
    while (cluster.tokenRequests.size === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    if (signal !== undefined) running.child.kill(signal)
    expect((await running.end).code).toBe(exitCode)
    expect(cluster.tokenRequests.size).toBe(0)
  })

  test('a TokenRequest that another program deletes: 6, at once', async () => {
    cluster.faults.controller = () => {
      setTimeout(() => {
        cluster.remove('demo')
      }, 100)
      return undefined
    }
    await expectFailure(await pair(), 6, 'ERR_REQUEST_REFUSED', /deleted or replaced by another program/)
  })

  test('a token that expires before it is used: 3, and the TokenRequest is deleted', async () => {
    kyma.faults.info = (_, response) => {
      json(response, 403, { code: 403, error: 'Invalid token.' })
    }
    await expectFailure(await pair(), 3, 'ERR_TOKEN_REJECTED', /refused/)
    expect(cluster.tokenRequests.size).toBe(0)
  })
})

describe('the NodePort', () => {
  test.each([
    ['LoadBalancer', 30443, 2, /is a LoadBalancer.*omit --node-port.*203\.0\.113\.7/],
    ['ClusterIP', undefined, 2, /is a ClusterIP.*--gateway-service/],
  ])('of a %s is explained: %#', async (type, port, exitCode, says) => {
    cluster.services = [gatewayService(type, port)]
    await expectFailure(await pair(), exitCode, 'ERR_USAGE', says)
    expect(cluster.requests.filter((line) => line.includes('tokenrequests'))).toEqual([])
  })

  test('of another Service is read, a missing Service is reported', async () => {
    const done = await pair(['--gateway-service', 'istio-system/gateway'])
    await expectFailure(
      done,
      6,
      'ERR_REQUEST_REFUSED',
      /refused to get services "gateway" in the namespace "istio-system"/,
    )
    cluster.services = [{ ...gatewayService('NodePort', kyma.gatewayPort), name: 'gateway' }]
    expect((await pair(['--gateway-service', 'istio-system/gateway'])).code).toBe(0)
    const info = await kyconnect(['info', '--node-port', 'auto', '--gateway-service', 'istio-system/gateway'], {
      env: env(),
    })
    expect(info.code, info.stderr).toBe(0)
    const call = await kyconnect(['call', 'info', '--node-port', 'auto', '--json'], { env: env() })
    expect([call.code, jsonError(call).code]).toEqual([2, 'ERR_USAGE'])
    expect((await kyconnect(['call', 'info'], { env: env({ KYCONNECT_NODE_PORT: 'auto' }) })).code).toBe(0)
  })

  test('that was not given, where 443 refuses, is in the hint with the whole command', async () => {
    const done = await kyconnect(['pair', '--app', 'demo', '--json'], { env: env() })
    expect([done.code, jsonError(done).code]).toEqual([8, 'ERR_NETWORK'])
    expect(jsonError(done).hint).toContain(`kyconnect pair --force --app demo --node-port ${kyma.gatewayPort}`)
  })

  test('is in no hint when the cluster may be another one than the one that failed', async () => {
    const pairing = ['pair', '--url', kyma.tokenUrl, '--json']
    const hintsOf = async (args: readonly string[]): Promise<string> => {
      cluster.requests.length = 0
      const done = await kyconnect(args, { env: env() })
      expect([done.code, jsonError(done).code], done.stderr).toEqual([8, 'ERR_NETWORK'])
      return jsonError(done).hint
    }
    expect(await hintsOf(pairing)).not.toContain(String(kyma.gatewayPort))
    expect(cluster.requests).toEqual([])
    expect(await hintsOf(['info', '--json'])).not.toContain(String(kyma.gatewayPort))
    expect(cluster.requests).toEqual([])
    expect(await hintsOf(['info', '--json', '--context', 'fake'])).toContain(
      `kyconnect info --node-port ${kyma.gatewayPort}`,
    )
    expect(await hintsOf([...pairing, '--force', '--kubeconfig', cluster.kubeconfig])).toContain(
      `--node-port ${kyma.gatewayPort}`,
    )
  })

  test('is in no hint about the Connector, which is not behind it', async () => {
    cluster.tokenUrl = 'https://connector-service.kyma.local/v1/applications/signingRequests/info?token=x'
    const done = await kyconnect(['pair', '--app', 'demo', '--json'], {
      env: env({ KYCONNECT_RESOLVE: 'connector-service.kyma.local:443:127.0.0.1' }),
    })
    expect([done.code, jsonError(done).code]).toEqual([8, 'ERR_NETWORK'])
    expect(jsonError(done).hint).not.toContain(String(kyma.gatewayPort))
  })

  test('a gateway whose name does not resolve: both ways out', async () => {
    const done = await kyconnect(['pair', '--app', 'demo', '--json'], {
      env: env({ KYCONNECT_RESOLVE: `connector-service.kyma.local:*:127.0.0.1` }),
    })
    expect([done.code, jsonError(done).code]).toEqual([8, 'ERR_NETWORK'])
    expect(jsonError(done).hint).toMatch(/--resolve 'gateway\.kyma\.local:443:.*\/etc\/hosts/)
  })
})

describe('variables of Node.js', () => {
  test('do not make a false API server pass', async () => {
    const ca = await readFile((await makeAuthority(folder.path, 'false', 'ec')).certificateFile)
    const wrong = join(folder.path, 'false')
    await writeFile(wrong, kubeconfigText(`https://localhost:${cluster.port}`, ca, 'x'))
    const done = await pair([], { KUBECONFIG: wrong, NODE_TLS_REJECT_UNAUTHORIZED: '0' })
    expect([done.code, jsonError(done).code]).toEqual([4, 'ERR_CLUSTER_ACCESS'])
    expect(cluster.requests).toEqual([])
  })

  test('do not make it show a credential or a token', async () => {
    const done = await pair([], { NODE_DEBUG: 'http,https,net,tls,undici,fetch,child_process' })
    expect(done.code, done.stderr).toBe(0)
    for (const secret of [bearer, (kyma.tokenUrl.split('token=')[1] ?? '').replace(/=+$/, '')])
      expect(done.stderr).not.toContain(secret)
  })
})

const pairing = (): Running =>
  start(process.execPath, [program, 'pair', '--app', 'demo', '--node-port', 'auto', '--json', '--force'], {
    env: env(),
  })

describe('Ctrl-C', () => {
  test.each([
    ['the Application', /^GET \S*\/applications\/demo$/],
    ['the old TokenRequest', /^GET \S*\/tokenrequests\/demo$/],
    ['its deletion', /^DELETE \S*\/tokenrequests\/demo$/],
    ['the creation', /^POST \S*\/tokenrequests$/],
    ['the watch', /^GET \S*\/tokenrequests\?$/],
    ['the NodePort', /^GET \S*\/services\//],
  ])('while %s is not answered: 130, and none of ours is left', async (_, held) => {
    const old = { name: 'demo', namespace: 'default', uid: 'old', resourceVersion: '7' }
    cluster.tokenRequests.set('demo', { metadata: old })
    const seen = { held: false }
    cluster.faults.controller = () => undefined
    cluster.faults.intercept = (line) => {
      if (seen.held || !held.test(line)) return false
      seen.held = true
      return true
    }
    const { child, end } = pairing()
    while (!seen.held) await new Promise((resolve) => setTimeout(resolve, 10))
    child.kill('SIGINT')
    const done = await end
    expect([done.code, jsonError(done).code], done.stderr).toEqual([130, 'ERR_INTERRUPTED'])
    expect([...cluster.tokenRequests.values()].filter(({ metadata }) => metadata.uid !== 'old')).toEqual([])
  })

  test('while a plugin of the kubeconfig runs: 130, and the plugin has ended', async () => {
    const at = join(folder.path, 'slow')
    const plugin = await writeOwnFile(
      join(at, 'plugin'),
      `#!/bin/sh\nsleep 1000 & echo $! > '${join(at, 'pid')}'\nwait\n`,
      0o700,
    )
    const exec = { apiVersion: 'client.authentication.k8s.io/v1beta1', command: plugin }
    const KUBECONFIG = await writeOwnFile(join(at, 'config'), kubeconfigOf([{ name: 'slow', user: { exec } }], 'slow'))
    const { child, end } = start(process.execPath, [program, 'token', '--app', 'demo', '--json'], {
      env: env({ KUBECONFIG }),
    })
    let pid = ''
    while (!pid.endsWith('\n')) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      pid = await readFile(join(at, 'pid'), 'utf8').catch(() => '')
    }
    child.kill('SIGINT')
    const done = await end
    expect([done.code, jsonError(done).code], done.stderr).toEqual([130, 'ERR_INTERRUPTED'])
    const stat = await readFile(`/proc/${pid.trim()}/stat`, 'utf8').catch(() => ') Z ')
    expect(stat).toMatch(/\) [ZX] /)
  })

  const untilAsked = async (what: RegExp, lines: string[]): Promise<void> => {
    while (!lines.some((line) => what.test(line))) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  test.each([
    ['the controller', /tokenrequests\?/, () => (cluster.faults.controller = () => undefined), 'cluster'],
    ['the CSR information', /signingRequests/, () => (kyma.faults.info = () => undefined), 'kyma'],
    ['the signing', /certificates/, () => (kyma.faults.csr = () => undefined), 'kyma'],
  ] as const)(
    'while waiting for %s: 130, the TokenRequest is gone, the identity that was there is as it was',
    async (_, what, prepare, where) => {
      expect((await pair()).code).toBe(0)
      const key = await readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8')
      cluster.requests.length = 0
      kyma.requests.length = 0
      prepare()
      const { child, end } = pairing()
      await untilAsked(what, where === 'cluster' ? cluster.requests : kyma.requests)
      child.kill('SIGINT')
      const done = await end
      expect([done.code, jsonError(done).code], done.stderr).toEqual([130, 'ERR_INTERRUPTED'])
      expect(cluster.tokenRequests.size).toBe(0)
      expect(await readFile(join(home, 'demo', 'current', 'key.pem'), 'utf8')).toBe(key)
    },
  )
})
