import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSandbox } from '../../src/sandbox/sandbox.js'
import { temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, type Faults, json, startFakeKyma } from '../support/fake-kyma.js'
import { kyconnect, program, type Run, start } from '../support/kyconnect.js'

let fake: FakeKyma
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let homes = 0

beforeAll(async () => {
  ;[fake, folder] = await Promise.all([startFakeKyma(), temporaryFolder('secrets')])
})
afterAll(async () => {
  await fake.stop()
  await folder.remove()
})

/** The two tokens, as they stand and without their padding. */
function tokens(): string[] {
  const urls = [fake.tokenUrl, String(fake.goodInfo()['csrUrl'])]
  return urls.map((url) => (url.split('token=')[1] ?? '').replace(/=+$/, ''))
}

async function texts(path: string): Promise<[string, string][]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(files.map(async (file) => [file, await readFile(file, 'latin1')] as [string, string]))
}

/** Lines of a private key's PEM, but those that every key begins with. */
function keyLines(pem: string): string[] {
  return pem
    .split('\n')
    .filter((line) => line.length === 64)
    .slice(2)
}

/** Everything one run printed and wrote, searched for both tokens and for the key. */
async function expectNoSecrets(done: Run, home: string, what: string): Promise<void> {
  const printed = done.stdout + done.stderr
  for (const token of tokens()) expect(printed.includes(token), `${what}: a token was printed`).toBe(false)
  for (const [file, text] of await texts(home)) {
    const mayHoldToken = file.endsWith('/pending/pairing.json')
    for (const token of tokens())
      expect(!mayHoldToken && text.includes(token), `${what}: ${file} contains a token`).toBe(false)
    if (!file.endsWith('key.pem')) expect(text, `${what}: ${file}`).not.toContain('PRIVATE KEY')
    else
      for (const line of keyLines(text)) expect(printed.includes(line), `${what}: key material was printed`).toBe(false)
  }
  expect(printed).not.toContain('PRIVATE KEY')
}

const leaky = (name: 'info' | 'csr' | 'management', status: number) => ({
  [name]: (request: { url?: string | undefined }, response: Parameters<typeof json>[0]) => {
    // A service that repeats what it was asked, in every way it could.
    json(response, status, {
      code: status,
      error: `no: ${request.url ?? ''} ${tokens().join(' ')}`,
      csrUrl: fake.goodInfo()['csrUrl'],
    })
  },
})

const wrong: [string, Faults][] = [
  ['nothing', {}],
  ['the token URL refused', leaky('info', 403)],
  ['the token URL failing', leaky('info', 500)],
  ['a CSR information without meaning', leaky('info', 200)],
  [
    'a redirect that repeats the token',
    {
      info: (request, response) => {
        response.writeHead(302, { location: `https://evil.example${request.url ?? ''}` }).end()
      },
    },
  ],
  ['the signing refused', leaky('csr', 400)],
  ['the signing without meaning', leaky('csr', 201)],
  ['the management info failing', leaky('management', 500)],
]
test.each(wrong)(
  'no token and no key appears in what is printed or written, at any verbosity, with %s going wrong',
  async (what, faults) => {
    for (const more of [[], ['--verbose'], ['--json'], ['--json', '--verbose']]) {
      const home = join(folder.path, `home-${homes++}`)
      fake.faults = faults
      const done = await kyconnect(['pair', '--url', '-', ...more], {
        env: { ...fake.env, KYCONNECT_HOME: home, NODE_DEBUG: 'undici,fetch,http,https' },
        input: fake.tokenUrl,
      })
      await expectNoSecrets(done, home, `${what} ${more.join(' ')}`)
      if (more.includes('--verbose')) expect(done.stderr).toContain('token=REDACTED')
    }
  },
)

test('a mistyped flag with the token URL in it does not repeat the token', async () => {
  const home = join(folder.path, `home-${homes++}`)
  for (const args of [
    [`--ulr=${fake.tokenUrl}`],
    [fake.tokenUrl],
    ['--app', fake.tokenUrl, '--url', 'x'],
    ['--profile', fake.tokenUrl],
  ]) {
    const done = await kyconnect(['pair', '--json', ...args], { env: { KYCONNECT_HOME: home } })
    // The token URL alone is taken as such, and its host does not resolve.
    expect(done.code).toBe(args[0] === fake.tokenUrl ? 8 : 2)
    for (const token of tokens()) expect(done.stdout + done.stderr).not.toContain(token)
  }
})

test('a damaged token URL, whose token may still be good, shows it nowhere: not here and not in the log of the sandbox', async () => {
  const log: string[] = []
  const sandbox = await startSandbox({
    apps: ['demo'],
    domain: 'kyma.local',
    connectorPort: 0,
    gatewayPort: 0,
    internalPort: 0,
    tokenTtlSeconds: 300,
    validitySeconds: 3600,
    log: (line) => log.push(line),
  })
  try {
    const { tokenUrls, env } = sandbox.ready
    const [base = '', token = ''] = (tokenUrls['demo'] ?? '').split('?token=')
    const damaged = [
      '?\\token=',
      '?token\\=',
      '?%74oken=',
      '?amp;token=',
      '?x=1&amp;token=',
      '?tok=',
      '?',
      '#token=',
      '/token=',
      '/',
      '?Token=',
      '?token==',
      '?a;token=',
    ]
    const home = join(folder.path, `home-${homes++}`)
    const bare = token.replace(/=+$/, '')
    for (const joint of damaged) {
      const done = await kyconnect(['pair', '--url', '-', '--verbose', '--force'], {
        env: { ...env, KYCONNECT_HOME: home },
        input: `${base}${joint}${token}`,
      })
      expect(done.stderr, joint).toMatch(/> GET |error/i)
      expect(done.stdout + done.stderr, joint).not.toContain(bare)
    }
    // A URL that has no parameter named token is not sent at all.
    expect(log.length).toBeGreaterThanOrEqual(4)
    expect(log.join('\n')).not.toContain(bare)
    expect(log.join('\n')).toContain('token=REDACTED')
  } finally {
    await sandbox.close()
  }
})

test('other users do not see a token URL given as an argument, and no child gets it from the environment', async () => {
  let seen: string | undefined
  const home = join(folder.path, `home-${homes++}`)
  fake.faults = {
    info: async (_, response) => {
      seen = await readFile(`/proc/${running.child.pid ?? 0}/cmdline`, 'latin1')
      json(response, 200, fake.goodInfo())
    },
  }
  const running = start(process.execPath, [program, 'pair', '--json', '--url', fake.tokenUrl], {
    env: { ...fake.env, KYCONNECT_HOME: home },
  })
  const done = await running.end
  expect(done.code, done.stderr).toBe(0)
  expect(seen).toMatch(/^kyconnect/)
  for (const token of tokens()) expect(seen).not.toContain(token)
})

test('a pending pairing is the one place where a token may be, readable by its owner alone, and it is deleted after the 201', async () => {
  const home = join(folder.path, `home-${homes++}`)
  fake.faults = leaky('csr', 500)
  const env = { ...fake.env, KYCONNECT_HOME: home }
  expect((await kyconnect(['pair', '--url', '-'], { env, input: fake.tokenUrl })).code).toBe(7)
  const held = (await texts(home)).filter(([, text]) => tokens().some((token) => text.includes(token)))
  expect(held.map(([file]) => file)).toEqual([join(home, 'demo', 'pending', 'pairing.json')])
  fake.faults = {}
  expect((await kyconnect(['pair', '--resume'], { env })).code).toBe(0)
  for (const [file, text] of await texts(home)) {
    for (const token of tokens()) expect(text.includes(token), file).toBe(false)
  }
})
