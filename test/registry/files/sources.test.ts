import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readServiceFiles } from '../../../src/registry/files/read.js'
import { readSources } from '../../../src/registry/files/source-files.js'
import { serviceYaml, useServiceFolder } from './service-folder.js'

const folder = useServiceFolder()

const identifiers = async (sources?: readonly string[], stdin?: string): Promise<string[]> =>
  (await folder.read(sources, stdin)).map(({ identifier }) => identifier)

describe('sources', () => {
  test('a folder is read with everything below it, in the order of names, without hidden files', async () => {
    folder.write({
      'b.yml': serviceYaml('', 'b'),
      'a.yaml': `${serviceYaml('', 'a1')}---\n${serviceYaml('', 'a2')}`,
      'c/deep/er/C.YAML': serviceYaml('', 'c'),
      'd.json': '{"identifier": "d", "name": "d", "provider": "d", "description": "d", "events": {"spec": {}}}',
      '.hidden.yaml': 'not: [yaml',
      '.git/config.yaml': 'not: [yaml',
      'README.md': '# Services',
      'notes.txt': 'not: [yaml',
    })
    expect(await identifiers()).toEqual(['a1', 'a2', 'b', 'c', 'd'])
    expect((await folder.read()).map(({ place }) => place.file)).toEqual([
      'a.yaml',
      'a.yaml',
      'b.yml',
      'c/deep/er/C.YAML',
      'd.json',
    ])
  })

  test('files keep the names that the user gave them', async () => {
    folder.write({ 'services/a.yaml': serviceYaml('', 'a') })
    const names = async (source: string): Promise<string | undefined> => (await folder.read([source]))[0]?.place.file
    expect(await names('./services')).toBe('services/a.yaml')
    expect(await names('services/a.yaml')).toBe('services/a.yaml')
    expect(await names(join(folder.path, 'services'))).toBe(join(folder.path, 'services/a.yaml'))
  })

  test('a file that is named and also in a named folder is read once', async () => {
    folder.write({ 'a.yaml': serviceYaml('', 'a') })
    symlinkSync('a.yaml', join(folder.path, 'link.yaml'))
    expect(await identifiers(['a.yaml', '.', './a.yaml', folder.path])).toEqual(['a'])
  })

  test('a named file may have any name, and a hidden one', async () => {
    folder.write({ services: serviceYaml('', 'a'), '.b.yaml': serviceYaml('', 'b') })
    expect(await identifiers(['services', '.b.yaml'])).toEqual(['a', 'b'])
  })

  test('standard input is YAML or JSON, and its folder is the working folder', async () => {
    folder.write({ 'spec.json': '{"openapi": "3.0.0"}' })
    const more = 'api: { targetUrl: https://a.example, spec: ./spec.json }\n'
    expect(await identifiers(['-'], `${serviceYaml(more, 'a')}---\n${serviceYaml('', 'b')}`)).toEqual(['a', 'b'])
    const json =
      '{"identifier": "d", "name": "d", "provider": "d", "description": "d", "events": {"spec": {"a": 12345678901234567890}}}'
    expect(await identifiers(['-'], json)).toEqual(['d'])
    expect(await folder.problems(['-'], serviceYaml('x: 1\nevents: { spec: {} }\n'))).toEqual([
      '-:5:1: x is not a field of a service',
    ])
    await expect(folder.read(['-'], '\uFEFF')).rejects.toThrow('standard input contains no service')
  })

  test('the packages of a project are not read, and other documents get a hint', async () => {
    folder.write({ 'a.yaml': serviceYaml('', 'a'), 'sub/node_modules/x/package.json': '{"name": "x"}' })
    expect(await identifiers()).toEqual(['a'])
    folder.write({ 'docker-compose.yaml': 'volumes: {}\n' })
    expect(await folder.problemsWithHints()).toMatchObject([
      { file: 'docker-compose.yaml', hint: 'move it out of the folder, or name the service files with -f' },
    ])
  })

  test('a specification in a folder is not a service, whatever it says', async () => {
    folder.write({
      'a.yaml': serviceYaml(
        'api: { targetUrl: https://a.example, spec: ./a.openapi.yaml }\nevents: { spec: ./events/a.json }\n',
        'a',
      ),
      'a.openapi.yaml': 'openapi: 3.0.0\ninfo: { title: A }\n',
      'events/a.json': '{"asyncapi": "2.0.0", "big": 12345678901234567890}',
      'unused.yaml': 'swagger: "2.0"\n',
    })
    expect(await identifiers()).toEqual(['a'])
  })

  test('a problem in a specification that a service refers to is reported once, at its place', async () => {
    folder.write({
      'a.yaml': serviceYaml('api: { targetUrl: https://a.example, spec: ./z.yaml }\n', 'a'),
      'z.yaml': 'openapi: 3.0.0\nx: 12345678901234567890\n',
    })
    expect(await folder.problems()).toEqual([
      'z.yaml:2:4: the integer 12345678901234567890 is beyond 2^53, so programs read it differently',
    ])
  })

  test('a specification that is named as a service gets a hint', async () => {
    folder.write({ 'api.yaml': 'openapi: 3.0.0\n' })
    expect(await folder.problemsWithHints(['api.yaml'])).toEqual([
      {
        file: 'api.yaml',
        line: 1,
        column: 1,
        message: 'the file is a specification, not a service',
        hint: 'write a service file for it: kyconnect services init --from api.yaml',
      },
    ])
  })

  test('what cannot be read is a problem, because leaving it out would delete services', async () => {
    folder.write({ 'ok.yaml': serviceYaml(), 'large.yaml': `# ${'x'.repeat(8 * 1024 * 1024)}` })
    mkdirSync(join(folder.path, 'elsewhere'))
    mkdirSync(join(folder.path, 'folder.yaml'))
    symlinkSync('elsewhere', join(folder.path, 'linked'))
    symlinkSync('nowhere', join(folder.path, 'broken.yaml'))
    symlinkSync('loop.yaml', join(folder.path, 'loop.yaml'))
    execFileSync('mkfifo', [join(folder.path, 'pipe.yaml')])
    expect(await folder.problems(['.', 'missing.yaml'])).toEqual([
      'broken.yaml:1:1: the file cannot be read: it does not exist',
      'large.yaml:1:1: the file cannot be read: it is larger than 8 MiB',
      'linked:1:1: the file cannot be read: links to folders are not followed',
      'loop.yaml:1:1: the file cannot be read: its links lead in a circle',
      'pipe.yaml:1:1: the file cannot be read: it is not a regular file',
      'missing.yaml:1:1: the file cannot be read: it does not exist',
    ])
  })

  test.each([
    ['a link to nothing, which may be a folder that is not mounted', 'team', 'it does not exist'],
    ['a link that leads in a circle', 'loop', 'its links lead in a circle'],
  ])('%s is a problem, whatever its name', async (_, name, problem) => {
    folder.write({ 'ok.yaml': serviceYaml() })
    symlinkSync(name === 'loop' ? 'loop' : 'nowhere', join(folder.path, name))
    expect(await folder.problems()).toEqual([`${name}:1:1: the file cannot be read: ${problem}`])
  })

  test('a link to another file does not matter when its name is not that of a service file', async () => {
    folder.write({ 'ok.yaml': serviceYaml(), 'notes.txt': 'x' })
    symlinkSync('notes.txt', join(folder.path, 'NOTES'))
    expect(await identifiers()).toEqual(['orders'])
  })

  test('a link in a folder does not lead out of it, so that references to files cannot begin elsewhere', async () => {
    folder.write({ 'services/ok.yaml': serviceYaml(), 'evil.yaml': serviceYaml('', 'evil'), 'services-2/x.yaml': 'x' })
    symlinkSync('../evil.yaml', join(folder.path, 'services', 'link.yaml'))
    symlinkSync('../services-2/x.yaml', join(folder.path, 'services', 'near.yaml'))
    symlinkSync('services', join(folder.path, 'named'))
    expect(await folder.problems(['services'])).toEqual([
      'services/link.yaml:1:1: the file cannot be read: the link leads out of services',
      'services/near.yaml:1:1: the file cannot be read: the link leads out of services',
    ])
    expect(await identifiers(['services/link.yaml'])).toEqual(['evil'])
    rmSync(join(folder.path, 'services', 'link.yaml'))
    rmSync(join(folder.path, 'services', 'near.yaml'))
    expect(await identifiers(['named'])).toEqual(['orders'])
  })

  test('each source has to describe a service, because an empty one would delete services', async () => {
    folder.write({
      'a/a.yaml': serviceYaml('', 'a'),
      'b/.keep': '',
      'c.yaml': '# nothing\n',
      'd/api.yaml': 'openapi: 3.0.0\n',
    })
    await expect(folder.read(['a', 'b', 'c.yaml', 'd', '-'])).rejects.toThrow(
      'b, c.yaml, d, standard input contain no service',
    )
    expect(await identifiers(['a', 'a/a.yaml', './a'])).toEqual(['a'])
  })

  test('an empty file is a problem, because its services may have been lost', async () => {
    folder.write({ 'a.yaml': serviceYaml('', 'a'), 'b.yaml': '', 'c.json': '\n \n' })
    expect(await folder.problems()).toEqual([
      'b.yaml:1:1: the file cannot be read: it is empty',
      'c.json:1:1: the file cannot be read: it is empty',
    ])
  })

  test('a pipe that is named gets a hint', async () => {
    execFileSync('mkfifo', [join(folder.path, 'pipe')])
    expect(await folder.problemsWithHints(['pipe'])).toMatchObject([
      { message: 'the file cannot be read: it is not a regular file', hint: 'to read services from a pipe, use -f -' },
    ])
  })

  test('a folder as Kubernetes mounts a ConfigMap is read, with the specification beside the real file', async () => {
    folder.write({
      '..2024_01_01/a.yaml': serviceYaml('api: { targetUrl: https://a.example, spec: ./a.json }\n', 'a'),
      '..2024_01_01/a.json': '{"openapi": "3.0.0"}',
    })
    symlinkSync('..2024_01_01', join(folder.path, '..data'))
    symlinkSync('..data/a.yaml', join(folder.path, 'a.yaml'))
    symlinkSync('..data/a.json', join(folder.path, 'a.json'))
    expect(await identifiers()).toEqual(['a'])
  })

  test('Ctrl-C ends it, while files are read and while they are checked', async () => {
    folder.write({ 'a.yaml': serviceYaml() })
    const deps = {
      workingFolder: folder.path,
      readStdin: () => Promise.resolve(serviceYaml()),
      signal: AbortSignal.abort(new Error('Ctrl-C')),
    }
    await expect(readSources(['.'], deps)).rejects.toThrow('Ctrl-C')
    await expect(readServiceFiles(['-'], deps)).rejects.toThrow('Ctrl-C')
  })
})
