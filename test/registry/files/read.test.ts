import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RawJson, SecretReference } from '../../../src/registry/content.js'
import { readServiceFiles } from '../../../src/registry/files/read.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kyconnect-files-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const deps = (stdin = '') => ({
  workingFolder: folder,
  readStdin: () => Promise.resolve(stdin),
  signal: new AbortController().signal,
})

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

describe('reading service files', () => {
  test('a YAML file becomes a service', async () => {
    write({
      'orders.yaml': `# yaml-language-server: $schema=x
set: shop
identifier: orders
name: Orders
provider: ACME
description: Orders of the shop
labels: { team: a }
api:
  targetUrl: https://orders.example/v1
  spec: ./orders.openapi.json
  credentials:
    basic:
      username: \${env:KYCONNECT_SECRET_USER}
      password: \${file:secrets/password}
documentation:
  displayName: Orders
  description: How to order
  type: guide
  docs:
    - title: Guide
      type: text
      source: ./guide.md
`,
      'orders.openapi.json': '{"openapi": "3.0.0", "x-big": 12345678901234567890}',
      'guide.md': '# Guide\n',
    })
    const { services } = await readServiceFiles(['orders.yaml'], deps())
    expect(services).toHaveLength(1)
    const [service] = services
    expect(service?.identifier).toBe('orders')
    expect(service?.name).toBe('Orders')
    expect(service?.set).toBe('shop')
    expect(service?.labels).toEqual({ team: 'a' })
    expect(service?.place).toEqual({ file: 'orders.yaml', line: 2, column: 1 })
    expect(service?.placeOf(['api', 'targetUrl'])).toEqual({ file: 'orders.yaml', line: 9, column: 3 })
    expect(service?.content).toEqual({
      provider: 'ACME',
      name: 'Orders',
      description: 'Orders of the shop',
      identifier: 'orders',
      api: {
        targetUrl: 'https://orders.example/v1',
        spec: new RawJson('{"openapi": "3.0.0", "x-big": 12345678901234567890}'),
        credentials: {
          basic: {
            username: new SecretReference(
              { kind: 'environment', variable: 'KYCONNECT_SECRET_USER' },
              '${env:KYCONNECT_SECRET_USER}',
            ),
            password: new SecretReference(
              { kind: 'file', folder, path: 'secrets/password' },
              '${file:secrets/password}',
            ),
          },
        },
      },
      documentation: {
        displayName: 'Orders',
        description: 'How to order',
        type: 'guide',
        docs: [{ title: 'Guide', type: 'text', source: '# Guide\n' }],
      },
    })
  })
})
