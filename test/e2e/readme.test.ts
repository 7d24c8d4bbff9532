import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exitCodes } from '../../src/cli/exit-codes.js'
import { temporaryFolder } from '../support/certificates.js'
import { kyconnect, program, root, run } from '../support/kyconnect.js'

const readme = await readFile(join(root, 'README.md'), 'utf8')

test('its examples run, one after the other in one shell, as they stand', async () => {
  const blocks = [...readme.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, text]) => text ?? '')
  expect(blocks.length).toBeGreaterThanOrEqual(3)
  const folder = await temporaryFolder('readme')
  try {
    const bin = join(folder.path, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'kyconnect'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
    await chmod(join(bin, 'kyconnect'), 0o755)
    const script = `set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n${blocks.join('\n')}\necho all of it ran\n`
    const done = await run('bash', ['-c', script], {
      cwd: folder.path,
      env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: folder.path },
    })
    expect(done.code, done.stdout + done.stderr).toBe(0)
    expect(done.stdout).toContain('client.crt: OK')
    expect(done.stdout.trimEnd().split('\n').at(-1)).toBe('all of it ran')
  } finally {
    await folder.remove()
  }
})

test('its table of exit codes is the one in the code', () => {
  const table = Object.fromEntries(
    [...readme.matchAll(/^\| ([\d, ]+) \| [^|]*\|([^|]*)\|$/gm)].flatMap(([, codes = '', names = '']) => {
      const list = codes.split(', ').map(Number)
      const errors = [...names.matchAll(/`(ERR_\w+)`/g)].map(([, name]) => name ?? '')
      // "130, 143" has one error for each, any other row one code for all of them.
      return errors.map((name, index) => [name, list.length === errors.length ? list[index] : list[0]] as const)
    }),
  )
  expect(table).toEqual(exitCodes)
})

test('every flag that a help text shows stands in it, and every command', async () => {
  const { stdout } = await kyconnect(['--help'])
  const commands = [...stdout.matchAll(/^ {2}(\w+) \[options\]/gm)].map(([, name]) => name ?? '')
  expect(commands).toEqual(['pair', 'info', 'call', 'token', 'sandbox'])
  for (const command of commands) {
    const help = (await kyconnect([command, '--help'])).stdout
    expect(help).toContain('Examples:')
    for (const [flag] of help.split('Examples:')[0]?.matchAll(/(?<=^ {2}(?:-\w, )?)--[\w-]+/gm) ?? []) {
      if (flag === '--help') continue
      expect(readme, `${command} ${flag}`).toContain(`\`${flag}`.replace('`--', '--'))
    }
  }
})
