import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kubectls, startKubectl } from '../sandbox/kubernetes/kubectl.js'
import { startSandbox } from '../../src/sandbox/sandbox.js'
import { temporaryFolder } from '../support/certificates.js'
import { jsonError, kyconnect, root, type Run, run } from '../support/kyconnect.js'
import { type SandboxProcess, startSandboxProcess } from '../support/sandbox.js'

let sandbox: SandboxProcess
let folder: Awaited<ReturnType<typeof temporaryFolder>>

beforeAll(async () => {
  ;[sandbox, folder] = await Promise.all([
    startSandboxProcess(['--app', 'demo', '--app', 'shop']),
    temporaryFolder('kubernetes'),
  ])
})
afterAll(async () => {
  await sandbox.stop()
  await folder.remove()
})

/** The environment of a user who knows the cluster, but not its NodePort. */
const env = (home: string): Record<string, string> => {
  const known = Object.entries(sandbox.ready.env).filter(([name]) => name !== 'KYCONNECT_NODE_PORT')
  return { ...Object.fromEntries(known), KYCONNECT_HOME: join(folder.path, home), HOME: folder.path }
}

async function kubectl(program: string, args: readonly string[], input = ''): Promise<string> {
  const done = await startKubectl(program, sandbox.ready.kubeconfig, args, input).end
  expect(done.code, done.stderr).toBe(0)
  return done.stdout
}
const [anyKubectl = ''] = kubectls

describe('against the sandbox', () => {
  test('pair --app does it all, and nothing is left in the cluster', async () => {
    const paired = await kyconnect(['pair', '--app', 'demo', '--node-port', 'auto'], { env: env('all') })
    expect(paired.code, paired.stderr).toBe(0)
    expect(paired.stderr).toMatch(/Cluster: context kyma-sandbox, https:\/\/127\.0\.0\.1:\d+, namespace default/)
    expect(await kubectl(anyKubectl, ['get', 'tokenrequests', '-A', '-o', 'name'])).toBe('')
    const alone = { env: { KYCONNECT_HOME: join(folder.path, 'all') } }
    const info = await kyconnect(['info', '--json'], alone)
    expect(JSON.parse(info.stdout)).toMatchObject({ app: 'demo', nodePort: sandbox.ready.gatewayPort })
    expect(await kyconnect(['call', 'metadata'], alone)).toMatchObject({ code: 0, stdout: '[]\n' })
  })

  test('a gateway whose name does not resolve: both ways out, with the address of the cluster', async () => {
    const port = new URL(sandbox.ready.connectorUrl).port
    const done = await kyconnect(['pair', '--app', 'demo', '--json'], {
      env: { ...env('unresolved'), KYCONNECT_RESOLVE: `connector-service.kyma.local:${port}:127.0.0.1` },
    })
    expect([done.code, jsonError(done).code]).toEqual([8, 'ERR_NETWORK'])
    expect(jsonError(done).hint).toContain("--resolve 'gateway.kyma.local:443:127.0.0.1'")
    expect(jsonError(done).hint).toContain('"127.0.0.1 gateway.kyma.local" to /etc/hosts')
  })

  test('a plugin of the kubeconfig gets credentials across, and none of our secrets', async () => {
    const config = await readFile(sandbox.ready.kubeconfig, 'utf8')
    const [, token = ''] = /token"?: "?([^"\s]+)/.exec(config) ?? []
    expect(token).not.toBe('')
    const seen = join(folder.path, 'seen')
    const plugin = join(folder.path, 'plugin.sh')
    await writeFile(
      plugin,
      `#!/bin/sh\nenv > '${seen}'\nprintf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s"}}' '${token}'\n`,
      { mode: 0o700 },
    )
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: plugin, interactiveMode: 'Never' }
    const kubeconfig = join(folder.path, 'with-plugin')
    const cluster = /server"?: "?([^"\s]+)/.exec(config)?.[1] ?? ''
    const ca = /certificate-authority-data"?: "?([^"\s]+)/.exec(config)?.[1] ?? ''
    await writeFile(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: 'c', cluster: { server: cluster, 'certificate-authority-data': ca } }],
        users: [{ name: 'u', user: { exec } }],
        contexts: [{ name: 'plugged', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'plugged',
      }),
    )
    const url = await sandbox.tokenUrl()
    const done = await kyconnect(['pair', '--app', 'demo', '--node-port', 'auto'], {
      env: { ...env('plugged'), KUBECONFIG: kubeconfig, KYCONNECT_TOKEN_URL: url },
    })
    expect(done.code, done.stderr).toBe(0)
    expect(await readFile(seen, 'utf8')).not.toContain('token=')
  })

  test('a client certificate of the kubeconfig is enough', async () => {
    const args = ['pair', '--app', 'demo', '--node-port', 'auto', '--context', 'kyma-sandbox-certificate']
    const done = await kyconnect(args, { env: env('by-certificate') })
    expect(done.code, done.stderr).toBe(0)
    expect(done.stderr).toContain('Cluster: context kyma-sandbox-certificate,')
  })

  test('in central mode: tenant and group are needed, and are in the certificate', async () => {
    const central = await startSandbox({
      apps: ['demo'],
      domain: 'kyma.local',
      connectorPort: 0,
      gatewayPort: 0,
      internalPort: 0,
      tokenTtlSeconds: 300,
      validitySeconds: 3600,
      central: true,
    })
    try {
      const ours = (home: string): Record<string, string> => ({
        ...central.ready.env,
        KYCONNECT_HOME: join(folder.path, home),
        HOME: folder.path,
      })
      const without = await kyconnect(['pair', '--app', 'demo', '--json', '--wait', '3600'], {
        env: ours('central-none'),
      })
      expect([without.code, jsonError(without).code]).toEqual([6, 'ERR_REQUEST_REFUSED'])
      expect(jsonError(without).hint).toContain('--tenant <name> --group <name>')
      const left = await startKubectl(anyKubectl, central.ready.kubeconfig, ['get', 'tokenrequests', '-o', 'name']).end
      expect(left.stdout).toBe('')
      const owner = ['--tenant', 'blue', '--group', 'team']
      const paired = await kyconnect(['pair', '--app', 'demo', '--json', ...owner], { env: ours('central') })
      expect([paired.code, paired.stderr]).toEqual([0, ''])
      expect(paired.stdout).toMatch(/"subject": ?"[^"]*O=blue,OU=team[,"]/)
    } finally {
      await central.close()
    }
  })

  test('--create-app makes an App whose own paths answer', async () => {
    const without = await kyconnect(['pair', '--app', 'fresh', '--node-port', 'auto'], { env: env('fresh') })
    expect([without.code, without.stderr]).toEqual([
      0,
      expect.stringContaining('the cluster has no Application "fresh"'),
    ])
    const alone = { env: { KYCONNECT_HOME: join(folder.path, 'fresh') } }
    expect((await kyconnect(['call', 'metadata'], alone)).code).toBe(6)
    const token = await kyconnect(['token', '--app', 'fresh', '--create-app'], { env: env('fresh') })
    expect(token.code, token.stderr).toBe(0)
    expect(await kubectl(anyKubectl, ['get', 'applications', '-o', 'name'])).toContain('/fresh')
    expect((await kyconnect(['call', 'metadata'], alone)).code).toBe(0)
  })

  test.each(['create', 'watch', 'get'])('what --deny %s:tokenrequests forbids is reported: 6', async (verb) => {
    const denying = await startSandboxProcess(['--deny', `${verb}:tokenrequests`])
    try {
      const home = join(folder.path, `denied-${verb}`)
      const done = await kyconnect(['pair', '--app', 'demo', '--json'], {
        env: { ...denying.ready.env, KYCONNECT_HOME: home },
      })
      expect([done.code, jsonError(done).code]).toEqual([6, 'ERR_REQUEST_REFUSED'])
      expect(jsonError(done).message).toContain(`cannot ${verb} resource "tokenrequests"`)
      const left = await startKubectl(anyKubectl, denying.ready.kubeconfig, ['get', 'tokenrequests', '-o', 'name']).end
      expect(left.stdout).toBe('')
    } finally {
      await denying.stop()
    }
  })

  test.each(kubectls)('%s reads the example of a Job', async (program) => {
    const example = join(root, 'examples', 'pair-job.yaml')
    const said = await kubectl(program, ['apply', '--dry-run=client', '-f', example])
    expect(said.trim().split('\n')).toHaveLength(5)
    expect(said).toContain('job.batch/kyconnect-shop created (dry run)')
  })
})

/** The commands of the tutorial, as they stand in it: what is fenced and begins with a program's name. */
const tutorial = await readFile(join(root, 'fixtures', 'tutorial.md'), 'utf8')
const commands = [...tutorial.matchAll(/^( *)```\n([^]*?)^\1```$/gm)]
  .map(([, indent = '', block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), '').trim())
  .filter((block) => /^(cat|kubectl|curl|openssl) /.test(block))
  .flatMap((block) => (block.startsWith('openssl') ? block.split('\n') : [block]))

describe.each(kubectls)('the tutorial with %s, openssl and curl', (program) => {
  test('leads to an answer of the App, command by command', async () => {
    const at = join(folder.path, `tutorial-${kubectls.indexOf(program)}`)
    await run('mkdir', ['-p', join(at, 'bin')])
    await run('ln', ['-s', program, join(at, 'bin', 'kubectl')])
    const { connectorUrl, gatewayPort, caFile, kubeconfig } = sandbox.ready
    // What a cluster of one's own would not need: where its names lead to, and whom to believe.
    const port = new URL(connectorUrl).port
    await writeFile(
      join(at, '.curlrc'),
      `cacert = "${caFile}"\nsilent\nshow-error\nfail-with-body\nresolve = "connector-service.kyma.local:${port}:127.0.0.1"\nresolve = "gateway.kyma.local:${gatewayPort}:127.0.0.1"\n`,
    )
    const shell = (command: string): Promise<Run> =>
      run('bash', ['-c', command], {
        cwd: at,
        env: { PATH: `${join(at, 'bin')}:${process.env['PATH'] ?? ''}`, HOME: at, KUBECONFIG: kubeconfig },
      })
    const ok = async (command: string): Promise<string> => {
      const done = await shell(command)
      expect(done.code, `${command}\n${done.stdout}${done.stderr}`).toBe(0)
      return done.stdout
    }
    const next = commands.values()
    /** The next command, with its placeholders filled in. */
    const take = (begins: string, filled: Record<string, string> = {}): string => {
      let command = next.next().value ?? ''
      expect(command.startsWith(begins), `${command} should begin with ${begins}`).toBe(true)
      for (const [placeholder, value] of Object.entries({
        '{APP_NAME}': 'shop',
        '{CERT_FILE_NAME}': 'generated',
        '{KEY_FILE_NAME}': 'generated',
        ...filled,
      })) {
        command = command.replaceAll(placeholder, value)
      }
      return command
    }

    expect(commands).toHaveLength(11)
    expect(await ok(take('cat'))).toContain('tokenrequest.applicationconnector.kyma-project.io/shop created')
    const get = take('kubectl get')
    let yaml = await ok(get)
    for (let tries = 0; !yaml.includes('state: OK') && tries < 50; tries++) yaml = await ok(get)
    const [, url = ''] = /^ {2}url: (https:\S+)$/m.exec(yaml) ?? []

    const info = JSON.parse(await ok(take('curl', { '{CONFIGURATION_URL_WITH_TOKEN}': url }))) as {
      csrUrl: string
      certificate: { subject: string }
    }
    await ok(take('openssl genrsa'))
    // The subject is the one that was answered, not the tutorial's.
    const subject = `/${info.certificate.subject.replaceAll(',', '/')}`
    await ok(take('openssl req').replace(/-subj ".*"/, `-subj "${subject}"`))
    const csr = (await ok(take('openssl base64').replace('-in', '-A -in'))).trim()
    const signed = JSON.parse(
      await ok(take('curl -H', { BASE64_ENCODED_CSR_HERE: csr, '{CSR_SIGNING_URL_WITH_TOKEN}': info.csrUrl })),
    ) as { crt: string }
    await writeFile(join(at, 'generated.crt'), Buffer.from(signed.crt, 'base64'))

    // The one that lacks scheme, host label and NodePort.
    const management = take('curl {CLUSTER_DOMAIN}', {
      '{CLUSTER_DOMAIN}': `https://gateway.kyma.local:${gatewayPort}`,
    })
    expect(JSON.parse(await ok(management))).toMatchObject({ clientIdentity: { application: 'shop' } })
    const nodePort = await ok(take('kubectl -n kyma-system'))
    expect(nodePort).toBe(String(gatewayPort))
    expect(await ok(take('curl https', { '{NODE_PORT}': nodePort }))).toBe('[]\n')
    // Events are sent, not read: the service says so, and the certificate was good.
    const events = await shell(take('curl https', { '{NODE_PORT}': nodePort }))
    expect(events.stdout + events.stderr).toMatch(/405/)
    await kubectl(program, ['delete', 'tokenrequest', 'shop'])
  })
})
