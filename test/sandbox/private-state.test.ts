/** The state folder refuses what another user could have put there. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { StateError } from '../../src/sandbox/sandbox.js'
import { readPrivateFile, writePrivateFile } from '../../src/sandbox/private-files.js'
import { openStateDirectory } from '../../src/sandbox/state.js'
import { startTestSandbox } from './wire.js'

const me = process.geteuid?.()
let directory: string
let state: string
let elsewhere: string
const servers: Server[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sandbox-private-'))
  state = join(directory, 'state')
  elsewhere = join(directory, 'elsewhere')
  writeFileSync(elsewhere, '["text"]')
})
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
  rmSync(directory, { recursive: true, force: true })
})

async function refusal(act: () => unknown): Promise<string> {
  try {
    await act()
  } catch (error) {
    expect(error).toBeInstanceOf(StateError)
    return error instanceof Error ? error.message.replaceAll(directory, '') : ''
  }
  throw new Error('the state folder was accepted')
}

const fifo = (path: string): unknown => execFileSync('mkfifo', [path])
const socket = (path: string): Promise<void> =>
  new Promise((resolve) => {
    servers.push(createServer().listen(path, resolve))
  })

describe('a file of the state folder', () => {
  const places: readonly (readonly [string, (path: string) => unknown, string])[] = [
    [
      'a symbolic link',
      (path) => {
        symlinkSync(elsewhere, path)
      },
      'is a symbolic link',
    ],
    [
      'a symbolic link to nothing',
      (path) => {
        symlinkSync('/nowhere', path)
      },
      'is a symbolic link',
    ],
    [
      'a symbolic link to a device',
      (path) => {
        symlinkSync('/dev/zero', path)
      },
      'is a symbolic link',
    ],
    ['a FIFO', fifo, 'is not a regular file'],
    ['a socket', socket, 'is not a regular file'],
    [
      'a folder',
      (path) => {
        mkdirSync(path)
      },
      'is not a regular file',
    ],
  ]
  const files = ['server-ca.pem', 'client-ca.pem', 'services.json', 'revocations.json', 'kubernetes.json']

  test.each(places)('is refused at once when it is %s', async (_what, put, problem) => {
    mkdirSync(state, { mode: 0o700 })
    await put(join(state, 'server-ca.pem'))
    expect(await refusal(() => startTestSandbox({ stateDirectory: state }))).toBe(
      `the state folder is refused: /state/server-ca.pem ${problem}`,
    )
  })

  test.each([...files, 'ca.crt', 'kubeconfig', 'ca.crt.new', 'kubeconfig.new'])(
    'is refused as a link: %s',
    async (file) => {
      mkdirSync(state, { mode: 0o700 })
      symlinkSync(elsewhere, join(state, file))
      expect(await refusal(() => startTestSandbox({ stateDirectory: state }))).toContain(`/${file} is a symbolic link`)
      expect(readFileSync(elsewhere, 'utf8')).toBe('["text"]')
    },
  )

  test('is refused when other users may write it', async () => {
    await (await startTestSandbox({ stateDirectory: state })).close()
    chmodSync(join(state, 'server-ca.pem'), 0o620)
    expect(await refusal(() => startTestSandbox({ stateDirectory: state }))).toBe(
      "the state folder is refused: other users may write to /state/server-ca.pem: run chmod go-w '/state/server-ca.pem'",
    )
  })

  test('is refused when it belongs to another user', async () => {
    openStateDirectory(state, me).write('x.json', '[]')
    const another = (me ?? 0) + 1
    expect(await refusal(() => openStateDirectory(state, another))).toBe(
      'the state folder is refused: /state belongs to another user',
    )
    const path = join(state, 'x.json')
    expect(readPrivateFile(path, me)).toBe('[]')
    expect(() => readPrivateFile(path, another)).toThrow(`${path} belongs to another user`)
    expect(() => {
      writePrivateFile(path, 'x', another)
    }).toThrow(`${path} belongs to another user`)
  })

  test('is not written through a link that appears later', async () => {
    const opened = openStateDirectory(state, me)
    for (const file of ['x.json', 'x.json.new']) {
      symlinkSync(elsewhere, join(state, file))
      const message = await refusal(() => {
        opened.write('x.json', 'y')
      })
      expect(message).toContain(`/${file} is a symbolic link`)
      rmSync(join(state, file))
    }
    expect(readFileSync(elsewhere, 'utf8')).toBe('["text"]')
    opened.write('x.json', 'y')
    expect(readFileSync(join(state, 'x.json'), 'utf8')).toBe('y')
  })

  test('replaces what a killed process left of it', () => {
    const opened = openStateDirectory(state, me)
    writeFileSync(join(state, 'x.json.new'), 'half', { mode: 0o600 })
    linkSync(join(state, 'x.json.new'), join(state, 'hard-link'))
    opened.write('x.json', 'whole')
    expect(readFileSync(join(state, 'x.json'), 'utf8')).toBe('whole')
    expect(readFileSync(join(state, 'hard-link'), 'utf8')).toBe('half')
    expect(readdirSync(state).sort()).toEqual(['hard-link', 'x.json'])
    expect(statSync(join(state, 'x.json')).mode & 0o777).toBe(0o600)
  })
})

describe('a state folder', () => {
  test('is refused when it is a symbolic link', async () => {
    const real = join(directory, 'real')
    mkdirSync(real, { mode: 0o700 })
    symlinkSync(real, state)
    expect(await refusal(() => startTestSandbox({ stateDirectory: state }))).toBe(
      'the state folder is refused: /state is a symbolic link',
    )
    // A slash at the end would follow the link.
    expect(await refusal(() => startTestSandbox({ stateDirectory: `${state}/` }))).toContain('is a symbolic link')
    expect(readdirSync(real)).toEqual([])
  })

  test('is refused when it is a link to nothing, and nothing is created there', async () => {
    symlinkSync(join(directory, 'nowhere'), state)
    expect(await refusal(() => startTestSandbox({ stateDirectory: state }))).toContain('is a symbolic link')
    expect(existsSync(join(directory, 'nowhere'))).toBe(false)
  })

  test('is refused at once when it is a FIFO or a device', async () => {
    fifo(state)
    expect(await refusal(() => startTestSandbox({ stateDirectory: state }))).toBe(
      'the state folder is refused: /state is not a folder',
    )
    expect(await refusal(() => startTestSandbox({ stateDirectory: '/dev/zero' }))).toContain(
      '/dev/zero is not a folder',
    )
  })

  test.each([0o770, 0o707, 0o777])('is refused when other users may write to it: %o', async (mode) => {
    mkdirSync(state)
    chmodSync(state, mode)
    expect(await refusal(() => startTestSandbox({ stateDirectory: state }))).toBe(
      "the state folder is refused: other users may write to /state: run chmod go-w '/state'",
    )
    chmodSync(state, 0o755)
    await (await startTestSandbox({ stateDirectory: state })).close()
  })
})
