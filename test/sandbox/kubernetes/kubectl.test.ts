/** The real kubectl, of the distribution and the machine's own, against the sandbox. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Sandbox } from '../../../src/sandbox/sandbox.js'
import { startTestSandbox } from '../wire.js'
import { application, tokenRequest } from './cluster.js'
import { kubectls, startKubectl, type KubectlRun } from './kubectl.js'

const version = (program: string): string =>
  /v[\d.]+/.exec(execFileSync(program, ['version', '--client'], { encoding: 'utf8' }))?.[0] ?? program

describe.each(kubectls.map((program) => [version(program), program]))('kubectl %s', (_version, program) => {
  let sandbox: Sandbox
  // One sandbox for all tests: discovery takes kubectl longest, and it caches the result.
  beforeAll(async () => {
    sandbox = await startTestSandbox({ apps: ['demo'] })
  })
  afterAll(() => sandbox.close())

  const run = (args: string, input?: object): Promise<KubectlRun> =>
    startKubectl(program, sandbox.ready.kubeconfig, args.split(' '), input && JSON.stringify(input)).end
  /** The output of a kubectl that must succeed. */
  const ok = async (args: string, input?: object): Promise<string> => {
    const { code, stdout, stderr } = await run(args, input)
    expect([args, code, stderr.replace(/^Warning: .*\n/gm, '')]).toEqual([args, 0, ''])
    return stdout
  }

  test('does the tutorial’s part: applies a TokenRequest, reads it, deletes it', async () => {
    const resource = 'tokenrequest.applicationconnector.kyma-project.io'
    const demo = tokenRequest('demo')
    expect(await ok('apply -f -', demo)).toBe(`${resource}/demo created\n`)
    const shown = await ok(`get ${resource} demo -o yaml`)
    expect(shown).toMatch(/^ {2}state: OK$/m)
    expect(shown).toMatch(
      /^ {2}url: https:\/\/connector-service\.kyma\.local:\d+\/v1\/applications\/signingRequests\/info\?token=[\w-]{86}==$/m,
    )
    expect(await ok('apply -f -', demo)).toBe(`${resource}/demo unchanged\n`)
    expect(await ok('apply -f -', { ...demo, context: { tenant: 't', group: 'g' } })).toBe(
      `${resource}/demo configured\n`,
    )
    expect(await ok(`get ${resource}`)).toMatch(/^NAME +AGE\ndemo +\d+s\n$/)
    expect(await ok(`delete ${resource} demo`)).toBe(`${resource} "demo" deleted\n`)
    expect((await run(`get ${resource} demo`)).stderr).toBe(
      'Error from server (NotFound): tokenrequests.applicationconnector.kyma-project.io "demo" not found\n',
    )
  })

  test('authenticates with the client certificate of the other context', async () => {
    const context = `--context ${sandbox.ready.contexts.certificate}`
    expect(await ok('config get-contexts -o name')).toBe(
      `${sandbox.ready.contexts.token}\n${sandbox.ready.contexts.certificate}\n`,
    )
    expect(await ok('config current-context')).toBe(`${sandbox.ready.contexts.token}\n`)
    const resource = 'tokenrequest.applicationconnector.kyma-project.io'
    expect(await ok(`apply -f - ${context}`, tokenRequest('by-certificate'))).toBe(
      `${resource}/by-certificate created\n`,
    )
    expect(await ok(`delete ${resource} by-certificate ${context}`)).toContain('deleted')
  })

  test('verifies the API server under the name that a cluster gives it, and under no other', async () => {
    const name = '--tls-server-name kubernetes.default.svc'
    expect(await ok(`get applications -o name ${name}`)).toContain('/demo\n')
    expect(await ok(`get applications -o name ${name} --context ${sandbox.ready.contexts.certificate}`)).toContain(
      '/demo',
    )
    const refused = await run('get applications --tls-server-name kubernetes.example')
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('certificate is valid for')])
  })

  test('finds the NodePort of the gateway', async () => {
    const service = 'application-connector-ingress-nginx-ingress-controller'
    const path = 'jsonpath={.spec.ports[?(@.port==443)].nodePort}'
    expect(await ok(`get svc -n kyma-system ${service} -o ${path}`)).toBe(String(sandbox.ready.gatewayPort))
    expect(await ok('get svc -A')).toMatch(
      new RegExp(`${service} +NodePort +[\\d.]+ +<none> +80:30080/TCP,443:${sandbox.ready.gatewayPort}/TCP`),
    )
    const ports = [{ port: 443, nodePort: 31_443 }]
    await ok(`patch svc ${service} -n kyma-system -p ${JSON.stringify({ spec: { ports } })}`)
    expect(await ok(`get svc -n kyma-system ${service} -o ${path}`)).toBe('31443')
  })

  test('applies and lists Applications', async () => {
    const resource = 'application.applicationconnector.kyma-project.io'
    expect(await ok('apply -f -', application('erp'))).toBe(`${resource}/erp created\n`)
    expect(await ok('apply -f -', application('erp', { description: 'x' }))).toBe(`${resource}/erp configured\n`)
    expect(await ok('get application erp -o jsonpath={.spec.description}')).toBe('x')
    expect(await ok('get applications')).toMatch(/^NAME +AGE\ndemo +\d+s\nerp +\d+s\n$/)
    expect((await run('apply --server-side -f -', application('erp'))).stderr).toContain(
      'the sandbox does not support server-side apply',
    )
  })

  test('watches', async () => {
    const watching = startKubectl(program, sandbox.ready.kubeconfig, ['get', 'tokenrequests', '-w', '-o', 'name'])
    await ok('apply -f -', tokenRequest('one'))
    await watching.said(/one/)
    await ok('apply -f -', tokenRequest('two'))
    await watching.said(/two/)
    watching.stop()
    await watching.end
    const table = startKubectl(program, sandbox.ready.kubeconfig, ['get', 'tokenrequests', '-w'])
    await table.said(/^NAME +AGE\none +\d+s\ntwo +\d+s\n$/)
    await ok('annotate tokenrequest one a=b')
    await table.said(/\none +\d+s\n$/)
    table.stop()
    await table.end
  })

  test('creates Secrets and namespaces', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kubectl-test-'))
    try {
      const files = ['-keyout', `${folder}/tls.key`, '-out', `${folder}/tls.crt`]
      execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=x', ...files], {
        stdio: 'ignore',
      })
      expect(await ok('create secret generic s --from-literal=a=b --from-literal=c=d')).toBe('secret/s created\n')
      await ok(`create secret tls t --cert ${folder}/tls.crt --key ${folder}/tls.key`)
      expect(await ok('get secret s -o jsonpath={.type}{.data}')).toBe('Opaque{"a":"Yg==","c":"ZA=="}')
      const certificate = await ok('get secret t -o jsonpath={.data.tls\\.crt}')
      expect(Buffer.from(certificate, 'base64').toString()).toBe(readFileSync(`${folder}/tls.crt`, 'utf8'))
      expect(await ok('get secrets')).toMatch(/\ns +Opaque +2 +\d+s\nt +kubernetes.io\/tls +2 +\d+s\n$/)
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'u' }, data: { a: 'MQ==' } }
      expect(await ok('apply -f -', secret)).toBe('secret/u created\n')
      expect(await ok('apply -f -', secret)).toBe('secret/u unchanged\n')
      expect(await ok('apply -f -', { ...secret, data: { b: 'Mg==' } })).toBe('secret/u configured\n')
      expect(await ok('delete secret s t u')).toContain('secret "u" deleted')
      await ok('create namespace x')
      expect(await ok('create secret generic s -n x')).toBe('secret/s created\n')
      expect(await ok('delete namespace x')).toContain('namespace "x" deleted')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('maps the kinds that the API only lists', async () => {
    const kinds = [
      'batch/v1 Job',
      'v1 ServiceAccount',
      'rbac.authorization.k8s.io/v1 Role',
      'rbac.authorization.k8s.io/v1 RoleBinding',
    ]
    const items = kinds.map((kind) => {
      const [apiVersion, name] = kind.split(' ')
      return { apiVersion, kind: name, metadata: { name: 'x' } }
    })
    const said = await ok('apply --dry-run=client -f -', { apiVersion: 'v1', kind: 'List', items })
    expect(said.match(/ created \(dry run\)/g)).toHaveLength(4)
  })
})
