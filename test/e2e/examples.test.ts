import { chmod, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as yaml from 'js-yaml'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createProgram } from '../../src/cli/main.js'
import { temporaryFolder } from '../support/certificates.js'
import { program, root, type Run, run } from '../support/kyconnect.js'
import { startSandboxProcess, type SandboxProcess } from '../support/sandbox.js'
import { kubectls, startKubectl } from '../sandbox/kubernetes/kubectl.js'

const examples = join(root, 'examples')
const names = (await readdir(examples, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(examples.length + 1))
  .sort()
const texts = new Map(
  await Promise.all(names.map(async (name) => [name, await readFile(join(examples, name), 'utf8')] as const)),
)
const textOf = (name: string): string => texts.get(name) ?? ''
const ending = (...suffixes: string[]): string[] =>
  names.filter((name) => suffixes.some((suffix) => name.endsWith(suffix)))

/** They name the program or another file that runs it. */
const withoutCommands = ['Containerfile', 'systemd/kyconnect-renew.timer']

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder('examples')
})
afterAll(async () => {
  await folder.remove()
})

/** The comment that a file begins with, without its marks. */
function headerOf(text: string): string[] {
  const lines = text.split('\n')
  const first = lines[0]?.startsWith('#!') === true ? 1 : 0
  const end = lines.findIndex((line, index) => index >= first && !line.startsWith('#'))
  return lines.slice(first, end).map((line) => line.slice(1))
}

/** The command lines in a comment: they are indented, sentences are not. */
const indented = (lines: readonly string[]): string[] => lines.filter((line) => line.startsWith('   '))

/** Every object and array in a document, and everything in them. */
function nodesOf(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [value]
  return [value, ...Object.values(value).flatMap(nodesOf)]
}

/** The words of each kyconnect command in shell text; quotes keep blanks, and operators end a command. */
function commandsIn(shell: string): string[][] {
  const lines = shell.replaceAll('\\\n', ' ')
  const found = lines.matchAll(
    /(?<![\w./-])kyconnect(?= (?:[a-z]|--))((?:[^\S\n]+(?:'[^']*'|"[^"]*"|[^\s|;&<>()'"]+))*)/g,
  )
  return [...found].map(([, words = '']) =>
    [...words.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, one, other, plain]) => one ?? other ?? plain ?? ''),
  )
}

/** The commands that a manifest's containers run. */
function commandsOf(manifest: unknown): string[][] {
  return nodesOf(manifest).flatMap((node) => {
    if (typeof node !== 'object' || node === null || !('command' in node) || !Array.isArray(node.command)) return []
    const [first, ...args] = node.command.map(String)
    return first === 'kyconnect' ? [args] : []
  })
}

function commandsOfFile(name: string, text: string): string[][] {
  const header = indented(headerOf(text)).flatMap(commandsIn)
  const isCode = (line: string): boolean => !/^\s*#|^Description=/.test(line)
  const body = text.split('\n').filter(isCode)
  if (!/\.ya?ml$/.test(name)) return [...header, ...body.flatMap(commandsIn)]
  const manifests = yaml.loadAll(text)
  const scripts = nodesOf(manifests).filter((node): node is string => typeof node === 'string')
  return [...header, ...commandsOf(manifests), ...scripts.flatMap(commandsIn)]
}

/** Parses a command line as the program does, and runs nothing. @throws CommanderError */
async function parse(args: readonly string[]): Promise<void> {
  await createProgram(
    '0.0.0',
    () => Promise.resolve(),
    () => undefined,
    undefined,
  ).parseAsync([...args], { from: 'user' })
}

describe('every example', () => {
  test('is here', () => {
    expect(names).toEqual([
      'Containerfile',
      'crontab',
      'events-cronjob.yaml',
      'github-actions.yml',
      'gitlab-ci.yml',
      'pair-job.yaml',
      'renew-cronjob.yaml',
      'renew-deployment.yaml',
      'systemd/install-user-timer.sh',
      'systemd/kyconnect-daemon.service',
      'systemd/kyconnect-renew.service',
      'systemd/kyconnect-renew.timer',
      'systemd/user/kyconnect-renew.service',
      'textfile-collector.sh',
    ])
  })

  test.each(names)('%s begins with what it is for, how to install it, and how to see that it works', (name) => {
    const header = headerOf(textOf(name))
    expect(header.length).toBeGreaterThan(4)
    expect(header[0]).toMatch(/^ [A-Z].*[.,:a-z]$/)
    expect(indented(header).length).toBeGreaterThan(1)
    expect(header.join('\n')).toMatch(/\b[Ss]ee (?:that it works|when it runs)\b/)
  })

  test.each([...names, '../docs/operations.md'])('%s: the program knows every command and flag in it', async (name) => {
    const text = texts.get(name) ?? (await readFile(join(examples, name), 'utf8'))
    const commands = name.endsWith('.md')
      ? [...text.matchAll(/^```\w*\n([^]*?)^```$/gm)].flatMap(([, block = '']) => commandsIn(block))
      : commandsOfFile(name, text)
    if (!withoutCommands.includes(name)) expect(commands.length).toBeGreaterThan(0)
    for (const args of commands) await expect(parse(args), args.join(' ')).resolves.toBeUndefined()
  })

  test('the check of commands finds a flag that does not exist', async () => {
    const commands = commandsOfFile(
      'a.sh',
      '# It renews.\n#   kyconnect renew --ever\nkyconnect list | kyconnect renw\n',
    )
    expect(commands).toEqual([['renew', '--ever'], ['list'], ['renw']])
    await expect(parse(['renew', '--ever'])).rejects.toThrow('--ever')
    await expect(parse(['renw'])).rejects.toThrow('renw')
    await expect(parse(['renew', '--all', '--if-due'])).resolves.toBeUndefined()
  })
})

describe('systemd', () => {
  const units = ending('.service', '.timer')
  /** Its own environment: systemd-analyze asks where a user's units are. */
  const analyze = (...args: string[]): Promise<Run> =>
    run('systemd-analyze', args, {
      env: { HOME: folder.path, XDG_RUNTIME_DIR: folder.path, XDG_CONFIG_HOME: join(folder.path, '.config') },
    })

  test.each(units)('accepts %s', async (name) => {
    const user = name.includes('/user/') ? ['--user'] : []
    const done = await analyze(...user, 'verify', '--man=no', join(examples, name))
    expect(done).toMatchObject({ code: 0, stdout: '', stderr: '' })
  })

  test('would not accept a misspelt line', async () => {
    const unit = join(folder.path, 'kyconnect-wrong.service')
    await writeFile(unit, textOf('systemd/kyconnect-renew.service').replace('ProtectSystem=', 'ProtectSytem='))
    const done = await analyze('verify', '--man=no', unit)
    expect(done.stderr).toMatch(/Unknown key.* 'ProtectSytem'/)
  })

  test.each(['systemd/kyconnect-renew.service', 'systemd/kyconnect-daemon.service'])(
    'finds little that %s exposes',
    async (name) => {
      // In tenths of its scale, from 0 to 10.
      const done = await analyze('security', '--offline=yes', '--threshold=20', join(examples, name))
      expect(done.code, done.stdout).toBe(0)
    },
  )

  test('what the instructions enable can be enabled', () => {
    const enabled = names.flatMap((name) =>
      [...textOf(name).matchAll(/systemctl (?:--user )?enable --now (\S+)/g)].map(([, unit = '']) => unit),
    )
    expect(new Set(enabled)).toEqual(new Set(['kyconnect-renew.timer', 'kyconnect-daemon.service']))
    for (const unit of enabled) expect(textOf(`systemd/${unit}`)).toMatch(/^\[Install\]\nWantedBy=/m)
  })

  test('the timer and the daemon have the same sandbox', () => {
    const [timer, daemon] = ['renew', 'daemon'].map((name) =>
      textOf(`systemd/kyconnect-${name}.service`)
        .split('\n\n[Install]')[0]
        ?.trimEnd()
        .split('\n\n# The process can write')
        .at(1),
    )
    expect(timer?.split('\n').length).toBeGreaterThan(20)
    expect(daemon).toBe(timer)
  })

  test('the script installs the timer for a user, with the folders of the programs and the variables of the shell', async () => {
    const home = join(folder.path, 'a home with 100% "quotes"')
    const bin = join(home, 'bin')
    await mkdir(bin, { recursive: true })
    for (const name of ['systemctl', 'loginctl'])
      await writeFile(join(bin, name), `#!/bin/sh\necho ${name} "$@" >>"$HOME/calls"\n`)
    await writeFile(join(bin, 'kyconnect'), '#!/bin/sh\n')
    for (const name of await readdir(bin)) await chmod(join(bin, name), 0o755)
    const store = join(home, 'store')
    const done = await run('sh', [join(examples, 'systemd', 'install-user-timer.sh')], {
      env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: home, KYCONNECT_HOME: store },
    })
    expect([done.code, done.stderr], done.stdout).toEqual([0, ''])
    expect((await readFile(join(home, 'calls'), 'utf8')).trim().split('\n')).toEqual([
      'systemctl --user show-environment',
      'systemctl --user daemon-reload',
      'systemctl --user start kyconnect-renew.service',
      'systemctl --user enable --now kyconnect-renew.timer',
      'loginctl enable-linger',
    ])
    const installed = join(home, '.config', 'systemd', 'user')
    const environment = await readFile(join(installed, 'kyconnect-renew.service.d', 'environment.conf'), 'utf8')
    const escaped = home.replaceAll('"', '\\"').replaceAll('%', '%%')
    expect(environment).toContain(`Environment="PATH=${escaped}/bin:`)
    expect(environment).toContain(`Environment="KYCONNECT_HOME=${escaped}/store"\n`)
    const accepted = await run(
      'systemd-analyze',
      ['--user', 'verify', '--man=no', join(installed, 'kyconnect-renew.timer')],
      { env: { HOME: home, XDG_RUNTIME_DIR: folder.path } },
    )
    expect(accepted).toMatchObject({ code: 0, stderr: '' })
  })

  test('the script starts no timer when the first run fails, and names the log', async () => {
    const home = join(folder.path, 'failing')
    await mkdir(home)
    await writeFile(join(home, 'systemctl'), '#!/bin/sh\necho "$2" >>"$HOME/calls"\n[ "$2" != start ] || exit 1\n')
    await writeFile(join(home, 'kyconnect'), '#!/bin/sh\n')
    for (const name of ['systemctl', 'kyconnect']) await chmod(join(home, name), 0o755)
    const done = await run('sh', [join(examples, 'systemd', 'install-user-timer.sh')], {
      env: { PATH: `${home}:${process.env['PATH'] ?? ''}`, HOME: home },
    })
    expect([done.code, done.stderr]).toEqual([
      1,
      'the first run failed: journalctl --user -u kyconnect-renew.service\n',
    ])
    expect(await readFile(join(home, 'calls'), 'utf8')).toBe('show-environment\ndaemon-reload\nstart\n')
  })

  test.each([
    [
      'there is no identity',
      'echo "error: no identity is stored in /x" >&2; exit 5',
      'exit 0',
      'error: no identity is stored in /x\nnothing was installed: pair first (kyconnect pair), then run this again\n',
    ],
    ['the user has no session of systemd', 'exit 0', 'exit 1', 'nothing was installed: systemd runs no session for '],
  ])('the script installs nothing when %s, and says what to do', async (name, ofKyconnect, ofSystemctl, text) => {
    const home = join(folder.path, name)
    await mkdir(home)
    await writeFile(join(home, 'systemctl'), `#!/bin/sh\n${ofSystemctl}\n`)
    await writeFile(join(home, 'kyconnect'), `#!/bin/sh\n${ofKyconnect}\n`)
    for (const program of ['systemctl', 'kyconnect']) await chmod(join(home, program), 0o755)
    const done = await run('sh', [join(examples, 'systemd', 'install-user-timer.sh')], {
      env: { PATH: `${home}:${process.env['PATH'] ?? ''}`, HOME: home },
    })
    expect([done.code, done.stdout, done.stderr.slice(0, text.length)]).toEqual([1, '', text])
    expect((await readdir(home)).sort()).toEqual(['kyconnect', 'systemctl'])
  })

  test.each(ending('.service'))(
    '%s shows a drop-in for --exec that systemd accepts and that replaces the command',
    async (name) => {
      const [, lines = ''] = /^(#   \[Service\]\n(?:#   .*\n)+)/m.exec(textOf(name)) ?? []
      const dropIn = lines.replace(/^#   /gm, '')
      expect(dropIn).toMatch(/^\[Service\]\nExecStart=\nExecStart=.* --exec '/)
      const unit = join(folder.path, `drop-in-${name.replaceAll('/', '-')}`)
      await mkdir(`${unit}.d`)
      await writeFile(unit, textOf(name))
      await writeFile(join(`${unit}.d`, 'override.conf'), dropIn)
      const done = await analyze(...(name.includes('/user/') ? ['--user'] : []), 'verify', '--man=no', unit)
      expect(done).toMatchObject({ code: 0, stdout: '', stderr: '' })
    },
  )
})

describe('Kubernetes', () => {
  const manifests = ending('.yaml')
  let sandbox: SandboxProcess
  beforeAll(async () => {
    sandbox = await startSandboxProcess()
  })
  afterAll(async () => {
    await sandbox.stop()
  })

  const created: Record<string, string> = {
    'events-cronjob.yaml': 'cronjob.batch/kyconnect-shop-events',
    'pair-job.yaml': 'job.batch/kyconnect-shop',
    'renew-cronjob.yaml': 'cronjob.batch/kyconnect-shop-renew',
    'renew-deployment.yaml': 'deployment.apps/kyconnect-shop-renew',
  }
  test.each(kubectls.flatMap((kubectl) => manifests.map((name) => [kubectl, name] as const)))(
    '%s accepts %s',
    async (kubectl, name) => {
      const args = ['apply', '--dry-run=client', '-f', join(examples, name)]
      const done = await startKubectl(kubectl, sandbox.ready.kubeconfig, args).end
      expect(done.code, done.stderr).toBe(0)
      expect(done.stdout).toContain(`${created[name] ?? '?'} created (dry run)`)
    },
  )

  interface PodSpec {
    readonly securityContext: Readonly<Record<string, unknown>>
    readonly containers: readonly {
      readonly securityContext: unknown
      readonly env: unknown
      readonly image: string
      readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
      readonly command: readonly string[]
    }[]
    readonly volumes: unknown
  }
  const podOf = (name: string): PodSpec => {
    const isPod = (node: unknown): node is PodSpec => typeof node === 'object' && node !== null && 'containers' in node
    const pod = nodesOf(yaml.loadAll(textOf(name))).find(isPod)
    if (pod === undefined) throw new Error(`${name} has no pod`)
    return pod
  }

  test.each(manifests)('%s runs as an ordinary user on a root file system that it cannot write to', (name) => {
    const pod = podOf(name)
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
      // Without it, the second mount lets the group write to the home and read the key.
      fsGroup: 1000,
      fsGroupChangePolicy: 'OnRootMismatch',
    })
    for (const container of pod.containers) {
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
      expect(container.env).toContainEqual({ name: 'KYCONNECT_HOME', value: '/identity/kyconnect' })
    }
    expect(pod.volumes).toContainEqual({ name: 'identity', persistentVolumeClaim: { claimName: 'kyconnect-shop' } })
  })

  test('only one process renews at a time, and the probes ask the port that the daemon listens on', () => {
    expect(yaml.load(textOf('renew-cronjob.yaml'))).toMatchObject({ spec: { concurrencyPolicy: 'Forbid' } })
    expect(yaml.load(textOf('renew-deployment.yaml'))).toMatchObject({
      spec: { replicas: 1, strategy: { type: 'Recreate' } },
    })
    const [container] = podOf('renew-deployment.yaml').containers
    expect(container?.ports).toEqual([{ name: 'metrics', containerPort: 9464 }])
    expect(container?.command).toContain('0.0.0.0:9464')
    expect(container).toMatchObject({
      readinessProbe: { httpGet: { path: '/healthz', port: 'metrics' } },
      livenessProbe: { httpGet: { path: '/metrics', port: 'metrics' } },
    })
  })

  test('the volume of the recipe for an image is that of the manifests, and its user has a number', () => {
    const recipe = textOf('Containerfile')
    expect(recipe).toMatch(/^FROM docker\.io\/library\/node:\d+-slim$/m)
    expect(recipe).toMatch(/^USER 1000:1000$/m)
    expect(recipe).toMatch(/^ENV KYCONNECT_HOME=\/identity\/kyconnect /m)
    expect(recipe).toMatch(/^ENTRYPOINT \["kyconnect"\]$/m)
  })
})

describe('CI', () => {
  /** A stand-in for the program, whose check ends with this code. */
  async function withProgram(name: string, code: number, daysLeft = 30): Promise<string> {
    const bin = join(folder.path, name)
    await mkdir(bin, { recursive: true })
    const status = JSON.stringify({ identities: [{ daysLeft }] })
    await writeFile(
      join(bin, 'kyconnect'),
      `#!/bin/sh\ncase "$*" in\n"status --check") exit ${code} ;;\n*) echo '${status}' ;;\nesac\n`,
    )
    await chmod(join(bin, 'kyconnect'), 0o755)
    return `${bin}:${process.env['PATH'] ?? ''}`
  }
  interface Step {
    readonly name?: string
    readonly run?: string
    readonly if?: string
    readonly with?: Readonly<Record<string, unknown>>
  }
  const workflow = yaml.load(textOf('github-actions.yml')) as {
    readonly permissions: unknown
    readonly jobs: {
      readonly call: { readonly steps: readonly Step[] }
      readonly services: { readonly steps: readonly Step[]; readonly permissions: unknown }
      readonly events: { readonly steps: readonly Step[]; readonly concurrency: unknown }
    }
  }
  const scriptOf = (begins: string): string =>
    workflow.jobs.call.steps.find(({ name }) => name?.startsWith(begins))?.run ?? 'exit 99'

  const servicesStep = (begins: string): string =>
    workflow.jobs.services.steps.find(({ name }) => name?.startsWith(begins))?.run ?? 'exit 99'

  test.each([
    [0, 0, ''],
    [10, 0, '::warning::'],
    [11, 1, '::error::'],
    [5, 5, ''],
  ])('GitHub: when the check ends with %i, the step ends with %i and says "%s"', async (code, expected, said) => {
    const PATH = await withProgram(`check-${code}`, code)
    // The shell of a step that names none.
    const env = { PATH, GITHUB_EVENT_NAME: 'schedule' }
    const done = await run('bash', ['-e', '-c', scriptOf('Check')], { env })
    expect([done.code, done.stdout.slice(0, said.length)], done.stderr).toEqual([expected, said])
    if (said === '') expect(done.stdout).toBe('')
  })

  test.each([
    ['schedule', 9, 1],
    ['schedule', 10, 0],
    ['workflow_dispatch', 9, 0],
  ])('GitHub: in a run of %s, a certificate with %i days left ends the step with %i', async (event, daysLeft, code) => {
    const PATH = await withProgram(`left-${event}-${daysLeft}`, 10, daysLeft)
    const env = { PATH, GITHUB_EVENT_NAME: event }
    expect((await run('bash', ['-e', '-c', scriptOf('Check')], { env })).code).toBe(code)
  })

  test('the identity that a person packs is the one that the jobs restore, for this user alone', async () => {
    const sandbox = await startSandboxProcess()
    try {
      const home = join(folder.path, 'ci')
      const paired = await run(process.execPath, [program, 'pair', '--profile', 'shop', '--url', '-'], {
        env: { ...sandbox.ready.env, HOME: home },
        input: await sandbox.tokenUrl(),
      })
      expect(paired.code, paired.stderr).toBe(0)
      // Another version beside it, which must not be in the secret.
      const renewed = await run(process.execPath, [program, 'renew'], { env: { HOME: home } })
      expect(renewed.code, renewed.stderr).toBe(0)
      const bin = join(folder.path, 'ci-bin')
      await mkdir(bin)
      await writeFile(join(bin, 'kyconnect'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
      await chmod(join(bin, 'kyconnect'), 0o755)
      const PATH = `${bin}:${process.env['PATH'] ?? ''}`
      const header = indented(headerOf(textOf('github-actions.yml')))
      const pack = header.filter((line) => /folder=|tar -C/.test(line)).slice(0, 2)
      const packing = pack.join('\n').replace(/\| gh .*/, '')
      const secret = await run('bash', ['-c', packing], { env: { HOME: home, PATH } })
      expect(secret.code, secret.stderr).toBe(0)
      const packed = await run('bash', ['-c', 'base64 -d | tar -tz | sort'], { input: secret.stdout })
      expect(packed.stdout.trim().split('\n')).toEqual(
        expect.arrayContaining(['./identity.json', './key.pem', './server-ca.pem']),
      )
      expect(packed.stdout).not.toContain('versions')
      // GitLab's limit for a variable is 10,000 characters.
      expect(secret.stdout.length).toBeLessThan(10_000)
      const job = { RUNNER_TEMP: join(folder.path, 'runner'), GITHUB_ENV: join(folder.path, 'github-env') }
      await mkdir(job.RUNNER_TEMP)
      const restored = await run('bash', ['-e', '-c', scriptOf('Restore')], {
        env: { ...job, PATH, KYCONNECT_PROFILE: 'shop', KYCONNECT_IDENTITY: secret.stdout },
      })
      expect(restored.code, restored.stderr).toBe(0)
      const stored = (await readFile(job.GITHUB_ENV, 'utf8')).trim().replace('KYCONNECT_HOME=', '')
      const called = await run(process.execPath, [program, 'call', 'metadata'], {
        env: { KYCONNECT_HOME: stored, KYCONNECT_PROFILE: 'shop' },
      })
      expect(called, called.stderr).toMatchObject({ code: 0, stdout: '[]\n' })
      const gitlab = yaml.load(textOf('gitlab-ci.yml')) as { '.kyconnect': { before_script: string[] } }
      const script = gitlab['.kyconnect'].before_script.filter((line) => !line.startsWith('npm '))
      const other = await run(
        'bash',
        ['-c', `set -e\n${script.join('\n')}\n'${process.execPath}' '${program}' call metadata`],
        {
          env: {
            PATH,
            KYCONNECT_PROFILE: 'shop',
            KYCONNECT_IDENTITY: secret.stdout,
            KYCONNECT_HOME: join(folder.path, 'gitlab-home'),
          },
        },
      )
      expect(other, other.stderr).toMatchObject({ code: 0, stdout: '[]\n' })
      const repository = join(folder.path, 'repository')
      await cp(join(root, 'fixtures', 'services', 'warehouse.yaml'), join(repository, 'services', 'warehouse.yaml'), {
        recursive: true,
      })
      const inRepository = (script: string, env: Readonly<Record<string, string>>): Promise<Run> =>
        run('bash', ['-e', '-c', script], {
          cwd: repository,
          env: { PATH, KYCONNECT_HOME: stored, KYCONNECT_PROFILE: 'shop', ...env },
        })
      const {
        services: { script: steps },
      } = yaml.load(textOf('gitlab-ci.yml')) as { services: { script: string[] } }
      const gitlabJob = steps.join('\n')
      const compare = servicesStep('Compare the App')
      expect((await inRepository(gitlabJob, { CI_PIPELINE_SOURCE: 'schedule' })).code).toBe(10)
      expect((await inRepository(compare, {})).code).toBe(10)
      expect((await inRepository(gitlabJob, { CI_PIPELINE_SOURCE: 'push' })).stdout).toContain('1 created')
      expect((await inRepository(servicesStep('Make the App'), {})).stdout).toContain('1 unchanged')
      expect((await inRepository(gitlabJob, { CI_PIPELINE_SOURCE: 'schedule' })).code).toBe(0)
      expect((await inRepository(compare, {})).code).toBe(0)
    } finally {
      await sandbox.stop()
    }
  })

  interface EventsJob {
    readonly script: readonly string[]
    readonly cache: unknown
    readonly artifacts: unknown
    readonly resource_group: unknown
  }
  const gitlabEvents = (yaml.load(textOf('gitlab-ci.yml')) as { readonly events: EventsJob }).events
  const eventsStep = (begins: string): Step | undefined =>
    workflow.jobs.events.steps.find(({ name }) => name?.startsWith(begins))
  /** The scripts that publish, without the download. */
  const publishing: readonly (readonly [string, string])[] = [
    ['GitHub', eventsStep('Publish')?.run ?? 'exit 99'],
    ['GitLab', gitlabEvents.script.filter((line) => !line.startsWith('curl')).join('\n')],
  ]

  test.each(publishing)(
    '%s: a job publishes what the one before on another machine has not, and keeps only its own rejects',
    async (name, script) => {
      const sandbox = await startSandboxProcess()
      try {
        const [home, bin] = [join(folder.path, `events-${name}`), join(folder.path, `events-bin-${name}`)]
        const env = { ...sandbox.ready.env, KYCONNECT_HOME: join(home, 'home'), KYCONNECT_PROFILE: 'shop' }
        const paired = await run(process.execPath, [program, 'pair', '--url', '-'], {
          env,
          input: await sandbox.tokenUrl(),
        })
        expect(paired.code, paired.stderr).toBe(0)
        await mkdir(bin)
        await writeFile(join(bin, 'kyconnect'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
        await chmod(join(bin, 'kyconnect'), 0o755)
        const line = (order: number): string =>
          `{"event-type":"order.created","event-type-version":"v1","event-time":"2026-11-23T20:00:00Z","data":{"order":${order}}}\n`
        const job = async (machine: string, text: string): Promise<Run> => {
          const cwd = join(home, machine)
          await mkdir(cwd, { recursive: true })
          await writeFile(join(cwd, 'events.ndjson'), text)
          return run('bash', ['-e', '-c', script], {
            cwd,
            env: { ...env, PATH: `${bin}:${process.env['PATH'] ?? ''}` },
          })
        }
        const first = await job('one', line(1) + line(2))
        expect(first.code, first.stderr).toBe(0)
        // The cache brings the checkpoint alone.
        await mkdir(join(home, 'two'))
        await cp(join(home, 'one', 'events.checkpoint'), join(home, 'two', 'events.checkpoint'))
        const second = await job('two', `${line(1)}${line(2)}half a line\n${line(3)}`)
        expect(second.code, second.stderr).toBe(6)
        const rejects = await readFile(join(home, 'two', 'rejects.ndjson'), 'utf8')
        expect(JSON.parse(rejects)).toMatchObject({ line: 'half a line' })
        const { events } = (await (await fetch(`${sandbox.ready.internalUrl}/sandbox/events`)).json()) as {
          readonly events: readonly { readonly data: { readonly order: number } }[]
        }
        expect(events.map(({ data }) => data.order)).toEqual([1, 2, 3])
      } finally {
        await sandbox.stop()
      }
    },
  )

  test.each(
    publishing.flatMap(([name, script]) =>
      [
        [0, 1, 0],
        [9, 2, 0],
        [6, 1, 6],
        [7, 1, 7],
        [143, 1, 143],
      ].map(([code = 0, times = 0, ends = 0]) => [name, script, code, times, ends] as const),
    ),
  )(
    '$0: when publishing ends with $2, it is done $3 times, and the job ends with $4',
    async (name, script, code, times, ends) => {
      const bin = join(folder.path, `ends-${name}-${code}`)
      await mkdir(bin)
      const scripts = {
        kyconnect: `#!/bin/sh\necho run >>"$0.calls"\n[ "$(wc -l <"$0.calls")" = 1 ] && exit ${code}\nexit 0\n`,
        sleep: '#!/bin/sh\n[ "$1" -gt 60 ]\n',
      }
      for (const [program, text] of Object.entries(scripts)) {
        await writeFile(join(bin, program), text)
        await chmod(join(bin, program), 0o755)
      }
      const done = await run('bash', ['-e', '-c', script], {
        cwd: bin,
        env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` },
      })
      expect(done.code, done.stderr).toBe(ends)
      expect(await readFile(join(bin, 'kyconnect.calls'), 'utf8')).toBe('run\n'.repeat(times))
    },
  )

  test('the checkpoint and the rejects are kept whatever a job ends with, and one job at a time has them', () => {
    const saved = eventsStep('Save the checkpoint')
    expect(saved).toMatchObject({ if: 'always()', with: { path: 'events.checkpoint' } })
    expect(eventsStep('Keep the rejected')).toMatchObject({ if: 'always()', with: { path: 'rejects.ndjson' } })
    // A cache cannot be overwritten: each run saves one with another key, and restores the newest.
    const restored = eventsStep('Restore the checkpoint')?.with ?? {}
    expect(restored).toMatchObject({ path: 'events.checkpoint', key: saved?.with?.['key'] })
    expect(saved?.with?.['key']).toBe(
      `${String(restored['restore-keys'])}\${{ github.run_id }}-\${{ github.run_attempt }}`,
    )
    expect(workflow.jobs.events.concurrency).toBe('events')
    expect(gitlabEvents).toMatchObject({
      resource_group: 'events',
      cache: { paths: ['events.checkpoint'], when: 'always' },
      artifacts: { paths: ['rejects.ndjson'], when: 'always' },
    })
  })

  test('GitLab: the job deletes the folders that it has created, which have fixed names', async () => {
    const { variables, after_script: after } = (
      yaml.load(textOf('gitlab-ci.yml')) as {
        '.kyconnect': { variables: Record<string, string>; after_script: string[] }
      }
    )['.kyconnect']
    expect(variables['KYCONNECT_HOME']).toBe('/tmp/kyconnect-$CI_JOB_ID')
    const home = join(folder.path, 'gitlab-after')
    for (const made of [home, `${home}-copy`]) await mkdir(made)
    const done = await run('bash', ['-c', after.join('\n')], { env: { KYCONNECT_HOME: home } })
    expect(done.code, done.stderr).toBe(0)
    expect((await readdir(folder.path)).filter((name) => name.startsWith('gitlab-after'))).toEqual([])
  })

  test('a package that is not in the registry of npm is not installed from there', () => {
    for (const name of ['github-actions.yml', 'gitlab-ci.yml'])
      expect(textOf(name)).toMatch(/npm install --global "\$KYCONNECT_PACKAGE"$/m)
  })

  test('GitLab: a certificate that is due is a warning, one that has expired is a failure', () => {
    expect(yaml.load(textOf('gitlab-ci.yml'))).toMatchObject({
      certificate: { script: ['kyconnect status --check'], allow_failure: { exit_codes: [10] } },
    })
  })

  test('GitHub: the workflow has no permissions, because it needs none but to read the files of services', () => {
    expect(workflow.permissions).toEqual({})
    expect(workflow.jobs.services.permissions).toEqual({ contents: 'read' })
  })

  test('GitHub: all jobs install kyconnect and restore and delete the identity in the same way', () => {
    const shared = (steps: readonly Step[]): Step[] =>
      steps.filter(({ name }) => name !== undefined && /^(?:Install|Restore the identity|Delete)/.test(name))
    const { call, services, events } = workflow.jobs
    expect(shared(call.steps)).toHaveLength(3)
    expect(shared(services.steps)).toEqual(shared(call.steps))
    expect(shared(events.steps)).toEqual(shared(call.steps))
  })
})

describe('scripts', () => {
  const scripts = [...ending('.sh'), '../bench/renew.sh', '../bench/tutorial.sh', '../bench/cluster.sh']
  test.each(scripts)('shellcheck finds nothing in %s', async (name) => {
    const done = await run('shellcheck', [join(examples, name)])
    expect([done.code, done.stdout], done.stderr).toEqual([0, ''])
  })

  test.each([
    ['the new text replaces the old one', 'echo new', 0, 'new\n'],
    ['the old text stays when the program fails', 'echo half; exit 1', 1, 'old\n'],
    ['the old text stays when there is no identity', 'exit 0', 1, 'old\n'],
  ])('textfile-collector.sh: %s', async (name, program, code, text) => {
    const [bin, out] = [join(folder.path, `bin-${name}`), join(folder.path, `out-${name}`)]
    await mkdir(bin)
    await mkdir(out)
    await writeFile(join(bin, 'kyconnect'), `#!/bin/sh\n${program}\n`)
    await chmod(join(bin, 'kyconnect'), 0o755)
    await writeFile(join(out, 'kyconnect.prom'), 'old\n')
    const done = await run('sh', [join(examples, 'textfile-collector.sh'), out], {
      env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` },
    })
    expect(done.code, done.stderr).toBe(code)
    expect(await readdir(out)).toEqual(['kyconnect.prom'])
    expect(await readFile(join(out, 'kyconnect.prom'), 'utf8')).toBe(text)
  })

  test('cron reads the crontab: five fields, variables, and a command', () => {
    const lines = textOf('crontab')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    expect(lines).toEqual([
      expect.stringMatching(/^[\d\-/]+ \* \* \* \* PATH=\/[\w:/]+ kyconnect renew --all --if-due$/),
    ])
  })

  test('the crontab is installed once however often, beside what was there before', async () => {
    const home = join(folder.path, 'cron')
    await mkdir(home)
    const crontab =
      '#!/bin/sh\nif [ "$1" = -l ]; then cat "$HOME/tab"; else cat >"$HOME/new" && mv "$HOME/new" "$HOME/tab"; fi\n'
    await writeFile(join(home, 'crontab'), crontab)
    await chmod(join(home, 'crontab'), 0o755)
    await writeFile(join(home, 'tab'), '0 1 * * * backup\n')
    const install = indented(headerOf(textOf('crontab'))).find((line) => line.includes('| crontab -')) ?? ''
    const readme = await readFile(join(root, 'README.md'), 'utf8')
    expect(readme).toContain(install.trim())
    for (let time = 0; time < 2; time++) {
      const done = await run('sh', ['-c', install], {
        cwd: root,
        env: { HOME: home, PATH: `${home}:${process.env['PATH'] ?? ''}` },
      })
      expect(done.code, done.stderr).toBe(0)
    }
    const lines = (await readFile(join(home, 'tab'), 'utf8')).trim().split('\n')
    expect(lines).toEqual(['0 1 * * * backup', expect.stringContaining('kyconnect renew --all --if-due')])
  })
})
