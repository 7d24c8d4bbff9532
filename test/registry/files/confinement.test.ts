import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { KyconnectError } from '../../../src/errors.js'
import { RawJson, SecretReference } from '../../../src/registry/content.js'
import { resolveSecret } from '../../../src/registry/files/resolve-secret.js'
import { serviceYaml, useServiceFolder } from './service-folder.js'

const folder = useServiceFolder()
let outside: string
beforeEach(() => {
  outside = realpathSync(mkdtempSync(join(tmpdir(), 'kyconnect-outside-')))
  writeFileSync(join(outside, 'secret'), 'outside')
  writeFileSync(join(outside, 'api.json'), '{"openapi": "3.0.0"}')
  writeFileSync(join(outside, 'guide.md'), 'outside')
})
afterEach(() => {
  rmSync(outside, { recursive: true, force: true })
})

const password = (text: string): string =>
  serviceYaml(
    `api:\n  targetUrl: https://orders.example\n  credentials: { basic: { username: "\${env:KYCONNECT_SECRET_USER}", password: ${JSON.stringify(text)} } }\n`,
  )

async function problemOfPassword(text: string): Promise<string | undefined> {
  folder.write({ 's.yaml': password(text) })
  const [problem, ...more] = await folder.problems(['s.yaml'])
  expect(more).toEqual([])
  return problem?.replace(/^s\.yaml:\d+:\d+: api\.credentials\.basic\.password /, '')
}

/** What resolves when the service is written. */
async function resolved(text: string, environment: Record<string, string> = {}): Promise<string> {
  folder.write({ 's.yaml': password(text) })
  const [service] = await folder.read(['s.yaml'])
  const reference = find(service?.content)
  if (reference === undefined) throw new Error('no reference')
  try {
    return resolveSecret(reference, environment)
  } catch (error) {
    if (!(error instanceof KyconnectError)) throw error
    expect(error.code).toBe('ERR_SERVICE_FILES')
    return `refused: ${error.message}`
  }
}

function find(value: unknown): SecretReference | undefined {
  if (value instanceof SecretReference) return value.text.includes('KYCONNECT_SECRET_USER') ? undefined : value
  if (typeof value !== 'object' || value === null) return undefined
  return Object.values(value)
    .map(find)
    .find((found) => found !== undefined)
}

describe('a credential field', () => {
  test.each([
    ['hunter2', 'must be a reference to a secret, not the secret itself'],
    ['$KYCONNECT_SECRET_X', 'must be a reference to a secret, not the secret itself'],
    ['********', 'must be a reference to a secret, not the secret itself'],
    ['Bearer ${env:KYCONNECT_SECRET_X}', 'must be one reference and nothing else'],
    ['${env:KYCONNECT_SECRET_X}${env:KYCONNECT_SECRET_Y}', 'must be one reference and nothing else'],
    ['${env:KYCONNECT_SECRET_X}\n', 'must be one reference and nothing else'],
    [' ${env:KYCONNECT_SECRET_X}', 'must be one reference and nothing else'],
    ['${env:HOME}', 'refers to an environment variable whose name does not begin with KYCONNECT_SECRET_'],
    [
      '${env:AWS_SECRET_ACCESS_KEY}',
      'refers to an environment variable whose name does not begin with KYCONNECT_SECRET_',
    ],
    ['${env:kyconnect_secret_x}', 'refers to an environment variable whose name does not begin with KYCONNECT_SECRET_'],
    ['${env:KYCONNECT_SECRET_}', 'refers to an environment variable whose name does not begin with KYCONNECT_SECRET_'],
    ['${env:}', 'refers to an environment variable whose name does not begin with KYCONNECT_SECRET_'],
    ['${file:}', 'refers to a file that cannot be used: it is not a path'],
    [
      '${file:/etc/shadow}',
      'refers to a file that cannot be used: the path must be relative to the folder of the service file',
    ],
    [
      '${file:/proc/self/environ}',
      'refers to a file that cannot be used: the path must be relative to the folder of the service file',
    ],
    [
      '${file:~/.ssh/id_rsa}',
      'refers to a file that cannot be used: the path must be relative to the folder of the service file',
    ],
    [
      '${file:C:\\secret}',
      'refers to a file that cannot be used: the path must be relative to the folder of the service file',
    ],
    ['${file:..}', 'refers to a file that cannot be used: it is outside the folder of the service file'],
    ['${file:../secret}', 'refers to a file that cannot be used: it is outside the folder of the service file'],
    ['${file:a/../../secret}', 'refers to a file that cannot be used: it is outside the folder of the service file'],
    ['${file:.env}', 'refers to a file that cannot be used: it is a hidden file, or in a hidden folder'],
    ['${file:.git/config}', 'refers to a file that cannot be used: it is a hidden file, or in a hidden folder'],
    ['${file:a\0b}', 'refers to a file that cannot be used: it is not a path'],
  ])('does not take %j', async (text, problem) => {
    expect(await problemOfPassword(text)).toBe(problem)
  })

  test('no problem quotes what it has', async () => {
    for (const text of ['hunter2', 'hunter2 ${env:KYCONNECT_SECRET_X}', '${env:hunter2}', '${file:/hunter2}']) {
      folder.write({ 's.yaml': password(text) })
      expect(JSON.stringify(await folder.problemsWithHints())).not.toContain('hunter2')
    }
    folder.write({
      's.yaml': serviceYaml(
        'api:\n  targetUrl: https://a.example\n  credentials: { basic: { username: 1234567, password: [hunter2] } }\n',
      ),
    })
    expect(JSON.stringify(await folder.problemsWithHints())).not.toMatch(/hunter2|1234567/)
  })

  test('a comparison needs no secret: what a reference names may be missing', async () => {
    folder.write({ 's.yaml': password('${file:secrets/missing}') })
    expect(await folder.problems()).toEqual([])
  })
})

describe('a reference in another field', () => {
  test.each([
    ['name: "${env:KYCONNECT_SECRET_X}"', 'name'],
    ['labels: { a: "x ${file:y}" }', 'labels.a'],
    ['api: { targetUrl: "https://a.example/${env:KYCONNECT_SECRET_X}" }', 'api.targetUrl'],
    ['api: { targetUrl: https://a.example, headers: { X: ["${env:KYCONNECT_SECRET_X}"] } }', 'api.headers.X[0]'],
    ['api: { targetUrl: https://a.example, specificationUrl: "${file:x}" }', 'api.specificationUrl'],
    [
      'api: { targetUrl: https://a.example, credentials: { certificateGen: { commonName: "${env:KYCONNECT_SECRET_X}" } } }',
      'api.credentials.certificateGen.commonName',
    ],
    ['documentation: { displayName: a, description: b, type: "${env:KYCONNECT_SECRET_X}" }', 'documentation.type'],
  ])('is a problem: %s', async (more, field) => {
    const text = more.startsWith('name')
      ? serviceYaml('events: { spec: {} }\n').replace('name: Orders', more)
      : serviceYaml(`events: { spec: {} }\n${more}\n`)
    folder.write({ 's.yaml': text })
    const problems = await folder.problems()
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`: ${field} must not refer to a secret`)
  })

  test('in a specification or a document is text', async () => {
    folder.write({
      's.yaml': serviceYaml(
        'events: { spec: { a: "${env:HOME}" } }\ndocumentation: { displayName: a, description: b, type: c, docs: [{ title: a, type: b, source: "use ${env:X}" }] }\n',
      ),
    })
    expect(await folder.problems()).toEqual([])
  })
})

describe('a secret', () => {
  test('comes from the environment', async () => {
    expect(await resolved('${env:KYCONNECT_SECRET_X}', { KYCONNECT_SECRET_X: 'hunter2' })).toBe('hunter2')
    expect(await resolved('${env:KYCONNECT_SECRET_X}', { KYCONNECT_SECRET_X: ' with spaces \n' })).toBe(
      ' with spaces \n',
    )
    expect(
      await resolved('${env:KYCONNECT_SECRET_X}', { KYCONNECT_SECRET_X: '-----BEGIN PRIVATE KEY-----\nMII' }),
    ).toBe('refused: ${env:KYCONNECT_SECRET_X} cannot be used: it is a private key')
    expect(await resolved('${env:KYCONNECT_SECRET_X}', {})).toBe(
      'refused: ${env:KYCONNECT_SECRET_X} cannot be used: the environment variable is not set',
    )
    expect(await resolved('${env:KYCONNECT_SECRET_X}', { KYCONNECT_SECRET_X: '' })).toBe(
      'refused: ${env:KYCONNECT_SECRET_X} cannot be used: it is empty',
    )
  })

  test.each([
    ['hunter2', 'hunter2'],
    ['hunter2\n', 'hunter2'],
    ['hunter2\r\n', 'hunter2'],
    ['hunter2\n\n', 'hunter2\n'],
    [' hunter2 ', ' hunter2 '],
    ['\uFEFFhunter2', 'hunter2'],
  ])('comes from a file: %j', async (content, secret) => {
    folder.write({ 'secrets/x': content })
    expect(await resolved('${file:secrets/x}')).toBe(secret)
    expect(await resolved('${file:./a/../secrets/x}')).toMatch(/^(?:hunter2| hunter2)|refused/)
  })

  test.each<[string, string | Uint8Array, string]>([
    ['an empty file', '', 'it is empty'],
    ['a line break', '\n', 'it is empty'],
    ['stars', '********\n', 'it is ********, which the Registry shows in place of a secret'],
    ['bytes', Buffer.from([0xff, 0xfe]), 'it is not UTF-8 text'],
    ['a private key', '-----BEGIN RSA PRIVATE KEY-----\nMII', 'it has a private key in it'],
    ['more than 64 KiB', 'x'.repeat(64 * 1024 + 1), 'it is larger than 64 KiB'],
  ])('is not %s', async (_, content, problem) => {
    folder.write({ 'secrets/x': content })
    expect(await resolved('${file:secrets/x}')).toBe(`refused: \${file:secrets/x} cannot be used: ${problem}`)
  })

  test('may have 64 KiB', async () => {
    folder.write({ 'secrets/x': 'x'.repeat(64 * 1024) })
    expect(await resolved('${file:secrets/x}')).toHaveLength(64 * 1024)
  })

  const link =
    (to: string) =>
    (path: string): void => {
      symlinkSync(to.replace('OUTSIDE', outside), path)
    }
  test.each<[string, (path: string) => void, string]>([
    ['a link to a file outside', link('OUTSIDE/secret'), 'it is outside the folder of the service file'],
    ['a link to /proc/self/environ', link('/proc/self/environ'), 'it is outside the folder of the service file'],
    ['a link to a device', link('/dev/zero'), 'it is outside the folder of the service file'],
    ['a link to nothing', link('nothing'), 'it does not exist'],
    ['a circle of links', link('x'), 'its links lead in a circle'],
    ['a link to a hidden file', link('../.env'), 'it is a hidden file, or in a hidden folder'],
    ['a link into a hidden folder', link('../.git/config'), 'it is a hidden file, or in a hidden folder'],
    [
      'a folder',
      (path) => {
        mkdirSync(path)
      },
      'it is a folder',
    ],
    ['nothing', () => undefined, 'it does not exist'],
  ])('is not read from %s', async (_, make, problem) => {
    folder.write({ 'secrets/other': 'x', '.env': 'TOKEN=1', '.git/config': 'token' })
    make(join(folder.path, 'secrets', 'x'))
    expect(await resolved('${file:secrets/x}')).toBe(`refused: \${file:secrets/x} cannot be used: ${problem}`)
  })

  test('is not read through a linked folder that leads outside', async () => {
    symlinkSync(outside, join(folder.path, 'secrets'))
    expect(await resolved('${file:secrets/secret}')).toContain('it is outside the folder of the service file')
  })

  test('is not read from a folder whose name begins with the same letters', async () => {
    folder.write({ 'services/s.yaml': password('${file:x}'), 'services-of-others/secret': 'x' })
    symlinkSync('../services-of-others/secret', join(folder.path, 'services', 'x'))
    const [service] = await folder.read(['services/s.yaml'])
    const reference = find(service?.content)
    expect(() => reference !== undefined && resolveSecret(reference, {})).toThrow('it is outside the folder')
  })

  test('is not read from a FIFO, and nothing waits for its writer', async () => {
    execFileSync('mkfifo', [join(folder.path, 'x')])
    expect(await resolved('${file:x}')).toContain('it is not a regular file')
  })

  test('is read as Kubernetes mounts it', async () => {
    folder.write({ 'secrets/..2024_01_01/x': 'hunter2\n' })
    symlinkSync('..2024_01_01', join(folder.path, 'secrets', '..data'))
    symlinkSync('..data/x', join(folder.path, 'secrets', 'x'))
    expect(await resolved('${file:secrets/x}')).toBe('hunter2')
  })

  test('is below the real folder of a linked service file', async () => {
    folder.write({ 'real/s.yaml': password('${file:x}'), 'real/x': 'real', 'links/x': 'beside the link' })
    symlinkSync('../real/s.yaml', join(folder.path, 'links', 's.yaml'))
    const [service] = await folder.read(['links/s.yaml'])
    const reference = find(service?.content)
    expect(reference !== undefined && resolveSecret(reference, {})).toBe('real')
  })

  test('is not read where everything is below the folder', () => {
    const reference = new SecretReference(
      { kind: 'file', folder: '/', path: 'proc/self/environ' },
      '${file:proc/self/environ}',
    )
    expect(() => resolveSecret(reference, {})).toThrow('the service file is in the root folder')
  })
})

describe('a file beside a service file', () => {
  const spec = (path: string): string =>
    serviceYaml(`api: { targetUrl: https://orders.example, spec: ${JSON.stringify(path)} }\n`)
  const doc = (path: string): string =>
    serviceYaml(
      `events: { spec: {} }\ndocumentation: { displayName: a, description: b, type: c, docs: [{ title: a, type: b, source: ${JSON.stringify(path)} }] }\n`,
    )
  const key = '-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n'

  async function problemOf(text: string): Promise<string | undefined> {
    folder.write({ 's.yaml': text })
    const [problem, ...more] = await folder.problems(['s.yaml'])
    expect(more).toEqual([])
    return problem?.replace(
      /^s\.yaml:\d+:\d+: the file of (?:api\.spec|documentation\.docs\[0\]\.source) cannot be used: /,
      '',
    )
  }

  test.each([
    ['/etc/passwd', 'the path must be relative to the folder of the service file'],
    ['~/api.json', 'the path must be relative to the folder of the service file'],
    ['../api.json', 'it is outside the folder of the service file'],
    ['./a/../../api.json', 'it is outside the folder of the service file'],
    ['./.hidden.json', 'it is a hidden file, or in a hidden folder'],
    ['./missing.json', 'it does not exist'],
    ['./key.pem', 'its name must end with .json, .yaml or .yml'],
    ['./link.json', 'it is outside the folder of the service file'],
    ['./renamed.json', 'its name must end with .json, .yaml or .yml'],
    ['./folder.json', 'it is a folder'],
    ['./key.json', 'it has a private key in it'],
    ['./key.yaml', 'it has a private key in it'],
    ['./large.json', 'it is larger than 8 MiB'],
    ['./bytes.json', 'it is not UTF-8 text'],
    ['./list.json', 'it is not a mapping'],
    ['./empty.yaml', 'it is not a mapping'],
    ['./kubeconfig.yaml', 'it is not a specification: it has none of openapi, swagger, asyncapi and $Version (OData)'],
    ['./credentials.json', 'it is not a specification: it has none of openapi, swagger, asyncapi and $Version (OData)'],
    ['./two.yaml', 'it has more than one document'],
  ])('is not the specification: %s', async (path, problem) => {
    folder.write({
      'key.pem': key,
      'key.json': JSON.stringify({ openapi: '3.0.0', x: key }),
      'key.yaml': `openapi: 3.0.0\nx: |\n${key.replace(/^/gm, '  ')}`,
      'large.json': ' '.repeat(8 * 1024 * 1024 + 1),
      'bytes.json': Buffer.from([0xff]),
      'list.json': '[]',
      'empty.yaml': '# nothing\n',
      'kubeconfig.yaml': 'apiVersion: v1\nusers: []\n',
      'credentials.json': '{"token": "x"}',
      'two.yaml': 'openapi: 3.0.0\n---\nopenapi: 3.0.0\n',
      '.hidden.json': '{"openapi": "3.0.0"}',
    })
    mkdirSync(join(folder.path, 'folder.json'))
    symlinkSync(join(outside, 'api.json'), join(folder.path, 'link.json'))
    symlinkSync('key.pem', join(folder.path, 'renamed.json'))
    expect(await problemOf(spec(path))).toBe(problem)
  })

  test.each([
    ['api.json', '{ "openapi": "3.0.0" , "n": 1.0 }\n', '{ "openapi": "3.0.0" , "n": 1.0 }'],
    ['api.json', '\uFEFF{"Swagger": "2.0"}\r\n', '{"Swagger": "2.0"}'],
    ['API.YAML', 'openapi: 3.0.0\npaths: {}\n', '{"openapi":"3.0.0","paths":{}}'],
    ['deep/er/api.yml', 'asyncapi: 2.0.0\n', '{"asyncapi":"2.0.0"}'],
    ['odata.json', '{"$Version": "4.01"}', '{"$Version": "4.01"}'],
  ])('is the specification: %s', async (name, text, json) => {
    folder.write({ 's.yaml': spec(`./${name}`), [name]: text })
    const [service] = await folder.read(['s.yaml'])
    expect(service?.content['api']).toEqual({ targetUrl: 'https://orders.example', spec: new RawJson(json) })
  })

  test('a specification that is not valid is a problem at its own place', async () => {
    folder.write({ 'services/s.yaml': spec('./api.json'), 'services/api.json': '{"openapi": "3.0.0",\n "x": }' })
    expect(await folder.problems(['services/s.yaml'])).toEqual([
      'services/api.json:2:7: the file is not valid JSON: a value is expected',
    ])
  })

  test.each([
    ['../guide.md', 'it is outside the folder of the service file'],
    ['./missing.md', 'it does not exist'],
    ['./link.md', 'it is outside the folder of the service file'],
    ['./renamed.md', 'its name must end with .md or .markdown'],
    ['./key.md', 'it has a private key in it'],
    ['./.hidden.md', 'it is a hidden file, or in a hidden folder'],
    ['./fifo.md', 'it is not a regular file'],
  ])('is not a document: %s', async (path, problem) => {
    folder.write({ id_rsa: key, 'key.md': `# Key\n${key}`, '.hidden.md': 'x' })
    symlinkSync(join(outside, 'guide.md'), join(folder.path, 'link.md'))
    symlinkSync('id_rsa', join(folder.path, 'renamed.md'))
    execFileSync('mkfifo', [join(folder.path, 'fifo.md')])
    expect(await problemOf(doc(path))).toBe(problem)
  })

  test.each([
    ['./guide.md', '# Guide\n'],
    ['./docs/Guide.Markdown', '# Guide\n'],
    ['guide.md', 'guide.md'],
    ['./guide.md is the guide', './guide.md is the guide'],
    ['./guide.md\n', './guide.md\n'],
    ['./guide.txt', './guide.txt'],
  ])('is a document, or text: %j', async (source, text) => {
    folder.write({ 's.yaml': doc(source), 'guide.md': '# Guide\n', 'docs/Guide.Markdown': '# Guide\n' })
    const [service] = await folder.read(['s.yaml'])
    expect(service?.content['documentation']).toMatchObject({ docs: [{ source: text }] })
  })
})
