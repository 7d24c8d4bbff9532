import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exitCodeMeanings, exitCodes } from '../../src/cli/exit-codes.js'
import { referenceMarkdown } from '../../src/cli/reference.js'
import { temporaryFolder } from '../support/certificates.js'
import { makeMaterial } from '../support/identities.js'
import { kyconnect, program, root, run } from '../support/kyconnect.js'
import { startSandboxProcess } from '../support/sandbox.js'

const readme = await readFile(join(root, 'README.md'), 'utf8')

test('its examples run unchanged, one after the other in one shell', async () => {
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

test('its recipe for curl works without server-ca.pem too', async () => {
  const recipe = /^```sh\n(folder=[^]*?)^```$/m.exec(readme)?.[1] ?? ''
  const [folder, sandbox] = await Promise.all([temporaryFolder('recipe'), startSandboxProcess()])
  try {
    await writeFile(join(folder.path, 'kyconnect'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
    await chmod(join(folder.path, 'kyconnect'), 0o755)
    const { KYCONNECT_CA_FILE: ca, ...env } = sandbox.ready.env
    const trusted = { ...env, SSL_CERT_FILE: ca, KYCONNECT_HOME: join(folder.path, 'home') }
    const paired = await kyconnect(['pair', '--url', '-'], { env: trusted, input: await sandbox.tokenUrl() })
    expect(paired.code, paired.stderr).toBe(0)
    const done = await run('bash', ['-c', `set -euo pipefail\n${recipe}`], {
      env: { ...trusted, PATH: `${folder.path}:${process.env['PATH'] ?? ''}` },
    })
    expect([done.code, done.stdout], done.stderr).toEqual([0, expect.stringMatching(/client\.crt: OK\n\[\]/)])
  } finally {
    await sandbox.stop()
    await folder.remove()
  }
})

test('its recipe for Java passes the password in no argument, and the key store holds the key', async () => {
  const recipe = /^Java needs [^]*?^```\n([^]*?)^```$/m.exec(readme)?.[1] ?? ''
  const folder = await temporaryFolder('java')
  try {
    const { key, chain } = await makeMaterial(folder.path, 'java')
    await Promise.all([
      writeFile(join(folder.path, 'key.pem'), key),
      writeFile(join(folder.path, 'chain.crt'), chain),
      writeFile(join(folder.path, 'server-ca.pem'), chain),
    ])
    // Takes the place of keytool, which not every machine has: it shows its arguments and the variable that one of them names.
    const keytool = `#!/bin/bash\necho "keytool $*"\nwhile [ $# -gt 0 ]; do [ "$1" != -storepass:env ] || echo "password \${!2}"; shift; done\n`
    await writeFile(join(folder.path, 'keytool'), keytool)
    await chmod(join(folder.path, 'keytool'), 0o755)
    const check =
      'openssl pkcs12 -in identity.p12 -passin env:STORE_PASSWORD -nodes -info; echo "chosen $STORE_PASSWORD"'
    const done = await run('bash', ['-c', `set -euxo pipefail\n${recipe}\n{ set +x; } 2>/dev/null\n${check}`], {
      cwd: folder.path,
      env: { folder: folder.path, PATH: `${folder.path}:${process.env['PATH'] ?? ''}` },
    })
    expect(done.code, done.stderr).toBe(0)
    expect(done.stdout).toContain('BEGIN PRIVATE KEY')
    const [, password = ''] = /^chosen (.+)$/m.exec(done.stdout) ?? []
    expect(password.length).toBeGreaterThanOrEqual(16)
    expect(done.stdout).toContain(`password ${password}\n`)
    // bash -x shows each command with its arguments.
    const commands = done.stderr.split('\n').filter((line) => /^\+ (openssl|keytool) /.test(line))
    expect(commands.length).toBeGreaterThanOrEqual(2)
    expect(commands.join('\n')).not.toContain(password)
  } finally {
    await folder.remove()
  }
})

test('its example for a program runs as it is, with the NodePort, the CA and the resolve rules that pair stored', async () => {
  const example = /^```js\n([^]*?)^```$/m.exec(readme)?.[1] ?? ''
  const [folder, sandbox] = await Promise.all([temporaryFolder('library'), startSandboxProcess()])
  try {
    const home = join(folder.path, 'home')
    const paired = await kyconnect(['pair', '--url', '-'], {
      env: { ...sandbox.ready.env, KYCONNECT_HOME: home },
      input: await sandbox.tokenUrl(),
    })
    expect(paired.code, paired.stderr).toBe(0)
    await mkdir(join(folder.path, 'node_modules'))
    await symlink(root, join(folder.path, 'node_modules', 'kyconnect'), 'dir')
    await writeFile(join(folder.path, 'example.mjs'), example)
    const done = await run(process.execPath, ['example.mjs'], { cwd: folder.path, env: { KYCONNECT_HOME: home } })
    expect([done.code, done.stdout.trim()], done.stderr).toEqual([0, '[]'])
  } finally {
    await sandbox.stop()
    await folder.remove()
  }
})

test('its links lead to files that are there, and to headings in them', async () => {
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)]
  expect(links.map(([, file]) => file)).toEqual(expect.arrayContaining(['docs/reference.md', 'docs/contract.md']))
  for (const [, file = '', heading] of links) {
    const text = await readFile(join(root, file), 'utf8')
    const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title.toLowerCase().replaceAll(' ', '-'))
    if (heading !== undefined) expect(anchors).toContain(heading)
  }
})

test('the reference is what the program says of itself: npm run docs writes it', async () => {
  expect(await readFile(join(root, 'docs/reference.md'), 'utf8')).toBe(referenceMarkdown())
})

test('the reference has every command and flag of the help texts, every exit code, and every variable', async () => {
  const reference = await readFile(join(root, 'docs/reference.md'), 'utf8')
  const { stdout } = await kyconnect(['--help'])
  const commands = [...stdout.matchAll(/^ {2}(\w+)(?:\|\w+)? \[options\]/gm)].map(([, name]) => name ?? '')
  expect(commands).toEqual(expect.arrayContaining(['pair', 'info', 'call', 'token', 'sandbox']))
  for (const command of commands) {
    const help = (await kyconnect([command, '--help'])).stdout
    expect(help).toContain('Examples:')
    const section = reference.split(`\n## ${command}\n`)[1]?.split('\n## ')[0]
    for (const [flag] of help.split('Examples:')[0]?.matchAll(/(?<=^ {2}(?:-\w, )?)--[\w-]+/gm) ?? []) {
      expect(section, `${command} ${flag}`).toContain(flag)
    }
  }
  for (const [code, exitCode] of Object.entries(exitCodes)) {
    expect(reference).toMatch(new RegExp(`^\\| ${exitCode} \\|.*\`${code}\``, 'm'))
    expect(stdout).toMatch(new RegExp(`^ {2}${exitCode} +${exitCodeMeanings[exitCode].replace(/[()]/g, '\\$&')}$`, 'm'))
  }
  const sources = await readdir(join(root, 'src'), { recursive: true })
  for (const file of sources.filter((name) => name.endsWith('.ts') && !name.startsWith('sandbox'))) {
    const text = await readFile(join(root, 'src', file), 'utf8')
    for (const [, name = ''] of text.matchAll(
      /(?:'|\[)((?:KYCONNECT|XDG|SSL|NODE|NO|FORCE|HTTPS?)_[A-Z_]+)(?:'|\])/g,
    )) {
      if (!name.startsWith('NODE_') || name === 'NODE_EXTRA_CA_CERTS') {
        expect(reference, `${name} in ${file}`).toContain(name)
      }
    }
  }
})
