import { describe, expect, test } from 'vitest'
import { ServiceFilesError } from '../../../src/errors.js'
import { serviceYaml, useServiceFolder } from './service-folder.js'

const folder = useServiceFolder()

/** The problems of one service file, without the name of the file. */
async function problemsOf(text: string): Promise<readonly string[]> {
  folder.write({ 's.yaml': text })
  return (await folder.problems(['s.yaml'])).map((problem) => problem.replace(/^s\.yaml:/, ''))
}

const api = (more: string): string => serviceYaml(`api:\n  targetUrl: https://orders.example\n${more}`)

describe('a problem is named with its place', () => {
  test.each<[string, string, readonly string[]]>([
    [
      'an unknown field near a known one',
      serviceYaml('descripton: x\nevents: { spec: {} }\n'),
      ['5:1: descripton is not a field of a service; did you mean description?'],
    ],
    [
      'an unknown field in another case',
      serviceYaml('api:\n  targetURL: x\n'),
      ['6:3: targetURL is not a field of api; did you mean targetUrl?'],
    ],
    [
      'an unknown field near no other',
      serviceYaml('api: { targetUrl: https://a.example }\nowner: x\n'),
      ['6:1: owner is not a field of a service'],
    ],
    [
      'a field that the Registry assigns',
      serviceYaml('api: { targetUrl: https://a.example }\nid: x\n'),
      ['6:1: id is not a field of a service: the Registry assigns it'],
    ],
    [
      'a certificate that the Registry generates',
      api('  credentials: { certificateGen: { commonName: a, certificate: b } }\n'),
      ['7:51: certificate is not a field of api.credentials.certificateGen: the Registry generates it'],
    ],
    [
      'all that is missing',
      'shortDescription: x\n',
      [
        '1:1: identifier is missing',
        '1:1: name is missing',
        '1:1: provider is missing',
        '1:1: description is missing',
        '1:1: a service needs api, events or both, and has neither',
      ],
    ],
    ['missing below a field', serviceYaml('events: {}\n'), ['5:1: events.spec is missing']],
    ['an empty value', serviceYaml('api:\n'), ['5:1: api must be a mapping, and is empty']],
    ['an empty text', serviceYaml('api: { targetUrl: "" }\n'), ['5:19: api.targetUrl must not be empty']],
    ['a number for text', api('labels: { team: 5 }\n'), ['7:17: labels.team must be text, not a number; quote it']],
    ['true for text', api('labels:\n  team: true\n'), ['8:9: labels.team must be text, not true or false; quote it']],
    ['a mapping for text', api('labels: { team: { a: b } }\n'), ['7:17: labels.team must be text, not a mapping']],
    [
      'text for a list',
      api('documentation: { displayName: a, description: b, type: c, tags: x }\n'),
      ['7:65: documentation.tags must be a list, not text'],
    ],
    ['a list for a mapping', serviceYaml('api: [1]\n'), ['5:6: api must be a mapping, not a list']],
    [
      'a number in a list',
      api('documentation: { displayName: a, description: b, type: c, tags: [x, 1] }\n'),
      ['7:69: documentation.tags[1] must be text, not a number; quote it'],
    ],
    [
      'a field of an item',
      api('documentation:\n  displayName: a\n  description: b\n  type: c\n  docs:\n    - titel: x\n'),
      ['12:7: titel is not a field of documentation.docs[0]; did you mean title?'],
    ],
    [
      'a list for a specification',
      api('  spec: [1]\n'),
      ['7:9: api.spec must be a mapping or the path of a file, not a list'],
    ],
    [
      'no credentials',
      api('  credentials: {}\n'),
      ['7:16: api.credentials is empty: give basic, oauth or certificateGen'],
    ],
    [
      'two kinds of credentials',
      api(
        '  credentials:\n    certificateGen: { commonName: a }\n    basic: { username: "${env:KYCONNECT_SECRET_A}", password: "${env:KYCONNECT_SECRET_B}" }\n',
      ),
      ['7:3: api.credentials has certificateGen and basic: choose one'],
    ],
    [
      'an unknown kind of credentials',
      api('  credentials: { basci: {} }\n'),
      ['7:18: basci is not a field of api.credentials; did you mean basic?'],
    ],
    [
      'half of the credentials',
      api('  credentials: { basic: { username: "${env:KYCONNECT_SECRET_A}" } }\n'),
      ['7:18: api.credentials.basic.password is missing'],
    ],
    [
      'a name for a set that is not a name',
      api('set: a b\n'),
      [
        "7:6: set must consist of up to 63 letters, digits, '.', '_' and '-', and begin and end with a letter or a digit",
      ],
    ],
    [
      'a label of the Registry',
      api('labels: { connected-app: x }\n'),
      ['7:11: labels.connected-app is reserved for the Registry'],
    ],
    [
      'a label of kyconnect',
      api('labels: { kyconnect-set: x }\n'),
      ['7:11: labels.kyconnect-set is reserved for kyconnect'],
    ],
    [
      'a target URL that is not one',
      serviceYaml('api: { targetUrl: not a url }\n'),
      ['5:19: api.targetUrl is not a URL that the Registry accepts'],
    ],
    [
      'other URLs',
      api(
        '  credentials: { oauth: { url: x y, clientId: "${env:KYCONNECT_SECRET_A}", clientSecret: "${env:KYCONNECT_SECRET_B}", csrfInfo: { tokenEndpointURL: z } } }\n',
      ),
      [
        '7:32: api.credentials.oauth.url is not a URL that the Registry accepts',
        '7:149: api.credentials.oauth.csrfInfo.tokenEndpointURL is not a URL that the Registry accepts',
      ],
    ],
    [
      'a URL that the Registry cannot fetch',
      api('  specificationUrl: ftp://orders.example/api.json\n'),
      ['7:21: api.specificationUrl is not an http or https URL, so the Registry cannot fetch it'],
    ],
    [
      'a password in a URL',
      serviceYaml('api: { targetUrl: https://bob:secret@orders.example }\n'),
      ['5:19: api.targetUrl has a password in it'],
    ],
    [
      'a document that is another thing',
      'kind: Deployment\nmetadata: {}\n',
      ['1:1: the document is not a service: it has neither identifier nor any other field of one'],
    ],
    ['a document that is not a mapping', '# list\n- a\n', ['2:1: a service must be a mapping, not a list']],
  ])('%s', async (_, text, problems) => {
    expect(await problemsOf(text)).toEqual(problems)
  })

  test('all problems of all files come at once, by file and place', async () => {
    folder.write({
      'b.yaml': 'identifier: a: b\n',
      'a.yaml': `${serviceYaml('labels: { a: 1 }\nid: x\n')}---\n${serviceYaml('api: {}\n', 'second')}`,
      'c/d.json': '{"identifier": "d", "name": 1, "provider": "p", "description": "d",\n "api": {"targetUrl": "%zz"}}',
    })
    expect(await folder.problems()).toEqual([
      'a.yaml:1:1: a service needs api, events or both, and has neither',
      'a.yaml:5:14: labels.a must be text, not a number; quote it',
      'a.yaml:6:1: id is not a field of a service: the Registry assigns it',
      'a.yaml:12:1: api.targetUrl is missing',
      'b.yaml:1:14: the file is not valid YAML: bad indentation of a mapping entry',
      'c/d.json:1:29: name must be text, not a number; quote it',
      'c/d.json:2:23: api.targetUrl is not a URL that the Registry accepts',
    ])
  })

  test('the error counts them, and has no other text of the files', async () => {
    folder.write({ 'a.yaml': serviceYaml('x: 1\n') })
    const error = await folder.read().then(undefined, (thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ServiceFilesError)
    expect(error).toMatchObject({ code: 'ERR_SERVICE_FILES', message: '2 problems in the service files' })
    folder.write({ 'a.yaml': serviceYaml('api: {targetUrl: https://a.example, x: 1}\n') })
    await expect(folder.read()).rejects.toThrow('1 problem in the service files')
  })

  test('two services with one identifier are both named', async () => {
    folder.write({ 'a.yaml': `${serviceYaml()}---\n${serviceYaml()}`, 'b/c.yaml': serviceYaml() })
    expect(await folder.problems()).toEqual([
      'a.yaml:7:1: the identifier orders is also that of the service at a.yaml:1:1',
      'b/c.yaml:1:1: the identifier orders is also that of the service at a.yaml:1:1',
    ])
  })

  test('credentials that are empty are not one more kind', async () => {
    const oauth =
      '{ url: https://a.example, clientId: "${env:KYCONNECT_SECRET_A}", clientSecret: "${env:KYCONNECT_SECRET_B}" }'
    expect(await problemsOf(api(`  credentials:\n    basic:\n    oauth: ${oauth}\n`))).toEqual([
      '8:5: api.credentials.basic must be a mapping, and is empty',
    ])
  })

  test('a URL that the Registry does not fetch, because there is a specification, may be anything', async () => {
    expect(await problemsOf(api('  specificationUrl: x\n  spec: {}\n'))).toEqual([])
  })

  test('two sets are both named, and a service without a set joins the others', async () => {
    folder.write({
      'a.yaml': serviceYaml('', 'one'),
      'b.yaml': `set: shop\n${serviceYaml('', 'two')}`,
      'c.yaml': `set: erp\n${serviceYaml('', 'three')}`,
    })
    expect(await folder.problems()).toEqual(['c.yaml:1:1: the set is erp, and the one at b.yaml:1:1 is shop'])
    expect(await folder.problems(['a.yaml', 'b.yaml'])).toEqual([])
  })

  test('control characters of a file do not reach the terminal', async () => {
    expect(await problemsOf(`"\\e[2Jx\\n": 1\n${serviceYaml()}`)).toEqual([
      '1:1: "\\u001b[2Jx\\n" is not a field of a service',
    ])
  })

  const lines = (line: (index: number) => string): string =>
    Array.from({ length: 100_000 }, (_, index) => line(index)).join('')

  test.each([
    ['unknown fields', serviceYaml() + lines((index) => `f${index}: x\n`)],
    ['labels that are not text', `${serviceYaml()}labels:\n${lines((index) => `  f${index}: 1\n`)}`],
    ['references to secrets', `${serviceYaml()}labels:\n${lines((index) => `  f${index}: "\${env:X}"\n`)}`],
    ['repetitions of a name', `${serviceYaml()}labels:\n${lines(() => '  f: x\n')}`],
    ['tags', `${serviceYaml()}labels:\n${lines((index) => `  f${index}: !x x\n`)}`],
    ['services with one identifier', lines(() => `${serviceYaml()}---\n`).slice(0, 8_000_000)],
    ['repetitions in a specification', api(`  spec: {"openapi": "3", ${lines(() => '"a": 1, ').slice(0, -2)}}\n`)],
  ])(
    'a hundred thousand %s do not keep it busy',
    async (_, text) => {
      const started = performance.now()
      expect(await problemsOf(text)).toHaveLength(1000)
      expect(performance.now() - started).toBeLessThan(40_000)
    },
    45_000,
  )

  test('the error says that there may be more problems than it has', async () => {
    folder.write({ 'a.yaml': serviceYaml() + lines((index) => `f${index}: x\n`) })
    await expect(folder.read()).rejects.toThrow('at least 1000 problems in the service files')
  })

  test('a very long name is cut, and compared with no other', async () => {
    const started = performance.now()
    const [problem = ''] = await problemsOf(
      `${'x'.repeat(1000)}: 1\n? ${'y'.repeat(4 * 1024 * 1024)}\n: 1\n${serviceYaml()}`,
    )
    expect(problem.length).toBeLessThan(200)
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  test('a hint says which fields there are', async () => {
    folder.write({ 's.yaml': serviceYaml('events: { spec: {}, x: 1 }\n') })
    expect(await folder.problemsWithHints()).toMatchObject([{ hint: 'use spec' }])
  })
})

describe('no service at all', () => {
  test.each([
    ['an empty folder', {}],
    ['comments', { 'a.yaml': '# nothing yet\n---\n# here\n' }],
    ['specifications only', { 'a.yaml': 'openapi: 3.0.0\n' }],
    ['other files', { 'README.md': '# Services\n', '.hidden.yaml': serviceYaml() }],
  ])('is a problem: %s', async (_, files: Record<string, string>) => {
    folder.write({
      'services/.keep': '',
      ...Object.fromEntries(Object.entries(files).map(([name, text]) => [`services/${name}`, text])),
    })
    await expect(folder.read(['services'])).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_SERVICE_FILES',
        message: 'services contains no service',
        hints: expect.arrayContaining([expect.stringContaining('kyconnect services delete')]) as string[],
      }),
    )
  })
})
