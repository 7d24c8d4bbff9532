import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { type FakeKyma, startFakeKyma } from '../support/fake-kyma.js'
import {
  jsonError,
  kyconnect,
  plainEnvironment,
  program,
  root,
  type Run,
  type RunOptions,
  start,
} from '../support/kyconnect.js'
import { type NginxGateway, startNginxGateway } from '../support/nginx.js'

/** How many events the run that is killed publishes; a million takes minutes. */
const manyEvents = Number(process.env['KYCONNECT_EVENTS'] ?? 20_000)
const kills = 5
const maxOpenLines = 1024

let fake: FakeKyma
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let home = ''
let files = 0
let nginx: NginxGateway | undefined
let service: http.Server | undefined

beforeAll(async () => {
  ;[fake, folder] = await Promise.all([startFakeKyma(), temporaryFolder('events')])
  home = join(folder.path, 'home')
  const paired = await command(['pair', '--url', '-'], { input: fake.tokenUrl })
  expect(paired.code, paired.stderr).toBe(0)
})
afterAll(async () => {
  await fake.stop()
  await folder.remove()
})
beforeEach(() => {
  received.length = fake.requests.length = 0
  fake.faults = { call: takeEvent }
})
afterEach(async () => {
  await nginx?.stop()
  service?.closeAllConnections()
  service?.close()
  nginx = service = undefined
})

/** The events that the service took. */
const received: { readonly id: string; readonly data: unknown; readonly certificate: string }[] = []

function takeEvent({ headers }: IncomingMessage, response: ServerResponse, body: string): void {
  const event = JSON.parse(body) as Record<string, unknown>
  const id = String(event['event-id'])
  if (event['event-type'] === 'bad.type') {
    const details = [{ field: 'event-type', type: 'invalid_field', message: 'Invalid field' }]
    send(response, 400, { status: 400, type: 'validation_violation', message: 'Invalid field', details })
    return
  }
  received.push({ id, data: event['data'], certificate: String(headers['client-certificate']) })
  const status = event['event-type'] === 'unknown.type' ? 'ignored' : 'published'
  send(response, 200, { 'event-id': id, status, reason: '' })
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function environment(more: RunOptions['env'] = {}): Record<string, string | undefined> {
  return { ...fake.env, KYCONNECT_HOME: home, ...more }
}

function command(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return kyconnect(args, { ...options, env: environment(options.env) })
}

function publish(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return command(['events', 'publish', ...args], options)
}

function eventLine(data: unknown, type = 'order.created'): string {
  return `${JSON.stringify({ 'event-type': type, 'event-type-version': 'v1', 'event-time': '2019-04-11T08:30:00Z', data })}\n`
}

function lines(count: number, from = 0): string {
  return Array.from({ length: count }, (_, index) => eventLine(from + index)).join('')
}

function newPath(name: string): string {
  return join(folder.path, `${files++}-${name}`)
}

async function inputFile(content: string): Promise<string> {
  const path = newPath('events.ndjson')
  await writeFile(path, content)
  return path
}

const dataOf = (): unknown[] => received.map(({ data }) => data).sort((a, b) => Number(a) - Number(b))
const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
/** The totals of all runs, and how often this one sent an event again. */
function totals(run: Run): unknown {
  const { thisRun, ...all } = JSON.parse(run.stdout) as { thisRun: Record<string, unknown> }
  return { ...all, retried: thisRun['retried'], maybeTwice: thisRun['maybeTwice'] }
}
const clean = { ignored: 0, rejected: 0, retried: 0, maybeTwice: 0 }

describe('one event', () => {
  const one = ['--type', 'order.created', '--type-version', 'v1']

  test('is published with the id that is printed', async () => {
    const run = await publish([...one, '--data', '{"order":4711}'])
    expect(run.code, run.stderr).toBe(0)
    expect(run.stdout).toBe(`published ${received[0]?.id ?? ''}\n`)
    expect(received.map(({ data }) => data)).toEqual([{ order: 4711 }])
  })

  test('takes its id, its time, and its data from a file or from standard input', async () => {
    const id = '31109198-4d69-4ae0-972d-76117f3748c8'
    const file = await inputFile('{"from":"file"}')
    const runs = [
      await publish([...one, '--id', id, '--time', '2019-04-11T08:30:00Z', '--data', `@${file}`, '--json']),
      await publish([...one, '--data', '@-'], { input: '{"from":"stdin"}' }),
    ]
    expect(runs.map(({ code }) => code)).toEqual([0, 0])
    expect(JSON.parse(runs[0]?.stdout ?? '')).toEqual({ id, outcome: 'published' })
    expect(received.map(({ data }) => data)).toEqual([{ from: 'file' }, { from: 'stdin' }])
    expect(received[0]?.id).toBe(id)
  })

  test('takes data with a byte-order mark, and refuses data that is not UTF-8, from a file and from standard input', async () => {
    const marked = '\ufeff{"name":"Müller"}'
    const [good, bad] = [await inputFile(marked), newPath('latin1.json')]
    await writeFile(bad, Buffer.from('{"name":"Müller"}', 'latin1'))
    const runs = [
      await publish([...one, '--data', `@${good}`]),
      await publish([...one, '--data', '@-'], { input: marked }),
      await publish([...one, '--data', `@${bad}`, '--json']),
    ]
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 9])
    expect(jsonError(runs[2] as Run).message).toBe(`--data: ${JSON.stringify(bad)} is not UTF-8 text`)
    expect(received.map(({ data }) => data)).toEqual([{ name: 'Müller' }, { name: 'Müller' }])
  })

  test('that nothing subscribes to is reported as ignored', async () => {
    const run = await publish(['--type', 'unknown.type', '--type-version', 'v1', '--data', '1'])
    expect([run.code, run.stdout.split(' ')[0]]).toEqual([0, 'ignored'])
    expect(run.stderr).toContain('nothing in the cluster subscribes')
  })

  test('that the service would refuse is not sent', async () => {
    const run = await publish(['--type', 'Order.Created', '--type-version', 'v1', '--data', '1', '--json'])
    expect([run.code, jsonError(run).code]).toEqual([2, 'ERR_USAGE'])
    expect(received).toEqual([])
  })

  test.each([
    ['null', 'the event would be rejected: --data is null, which the service counts as missing', undefined],
    ['""', 'the event would be rejected: --data is "", which the service counts as missing', undefined],
    ['', '--data is empty: an event needs a JSON value other than null and ""', undefined],
    ['hello', 'the event would be rejected: --data is not valid JSON', `write text as a JSON string: --data '"hello"'`],
    ["it's here", 'is not valid JSON', `write text as a JSON string: --data '"it'\\''s here"'`],
    ['{"a":}', 'is not valid JSON', 'see kyconnect events publish --help'],
  ])('whose data is %s says what is wrong with it', async (data, message, hint) => {
    const run = await publish([...one, '--data', data, '--json'])
    expect(run.code).toBe(2)
    expect(jsonError(run).message).toContain(message)
    if (hint !== undefined) expect(jsonError(run).hint).toBe(hint)
    expect(received).toEqual([])
  })

  test('that the service refuses ends with 6 and its reason', async () => {
    const run = await publish(['--type', 'bad.type', '--type-version', 'v1', '--data', '1', '--json'])
    expect(run.code).toBe(6)
    expect(jsonError(run)).toMatchObject({ code: 'ERR_EVENTS_REJECTED', details: { field: 'event-type', status: 400 } })
  })

  test('keeps its id when it is sent again', async () => {
    const ids: string[] = []
    fake.faults.call = (request, response, body) => {
      ids.push(String((JSON.parse(body) as Record<string, unknown>)['event-id']))
      if (ids.length < 3) response.writeHead(503).end('busy')
      else takeEvent(request, response, body)
    }
    const run = await publish([...one, '--data', '1'])
    expect(run.code, run.stderr).toBe(0)
    expect(ids).toHaveLength(3)
    expect(new Set(ids).size).toBe(1)
  })

  test('ends with the error of the service when --retry-for is over', async () => {
    fake.faults.call = (_, response) => response.writeHead(503).end('busy')
    const run = await publish([...one, '--data', '1', '--retry-for', '1s', '--json'])
    expect([run.code, jsonError(run).code]).toEqual([7, 'ERR_SERVICE_FAILED'])
  })

  test.each([
    ['--checkpoint', ['--checkpoint', 'x']],
    ['no data', []],
    ['a file as well', ['--data', '1', '-f', 'x']],
  ])('with %s is a usage error', async (_, more) => {
    expect((await publish([...one, ...more])).code).toBe(2)
  })
})

describe('many events', () => {
  test('come from a file or from standard input, in both shapes', async () => {
    const cloud = { specversion: '1.0', type: 'order.created.v1', source: '/shop', id: 'not-a-uuid', data: 2 }
    const content = `\ufeff${eventLine(0)}\r\n\n${eventLine(1).trimEnd()}\r\n${JSON.stringify(cloud)}`
    const runs = [
      await publish(['-f', await inputFile(content), '--json']),
      await publish(['-f', '-', '--json'], { input: content }),
    ]
    expect(runs.map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ''],
      [0, ''],
    ])
    expect(runs.map(totals)).toEqual([
      { published: 3, ...clean },
      { published: 3, ...clean },
    ])
    expect(dataOf()).toEqual([0, 0, 1, 1, 2, 2])
    // The id of the CloudEvent is derived: the same both times.
    expect(new Set(received.filter(({ data }) => data === 2).map(({ id }) => id)).size).toBe(1)
  })

  test('that are refused go to the file of rejects, with the reason and the offset', async () => {
    const [first, tooLong, bad, last] = [
      eventLine(0),
      `${'x'.repeat(70_000)}\n`,
      eventLine(2, 'bad.type'),
      eventLine(3),
    ]
    const rejects = newPath('rejects.ndjson')
    const run = await publish([
      '-f',
      await inputFile(first + tooLong + bad + '{"no":1}\n' + last),
      '--rejects',
      rejects,
      '--json',
    ])
    expect(run.code).toBe(6)
    expect(totals(run)).toEqual({ published: 2, ...clean, rejected: 3 })
    const entries = (await readFile(rejects, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { offset: number })
    expect((await stat(rejects)).mode & 0o777).toBe(0o600)
    expect(entries.sort((a, b) => a.offset - b.offset)).toMatchObject([
      { offset: first.length, lineNumber: 2, length: tooLong.length },
      { offset: first.length + tooLong.length, lineNumber: 3, status: 400, field: 'event-type', line: bad.trimEnd() },
      { offset: first.length + tooLong.length + bad.length, lineNumber: 4, field: 'event-type', line: '{"no":1}' },
    ])
    expect(dataOf()).toEqual([0, 3])
  })

  test.each([
    ['before sending', '{"no":1}\n'],
    ['by the service', eventLine(3, 'bad.type')],
  ])('end with the first one that is refused %s, after the answers to those before it', async (_, refused) => {
    const before = lines(3)
    const checkpoint = newPath('checkpoint')
    const file = await inputFile(before + refused + lines(5000, 4))
    const run = await publish(['-f', file, '--checkpoint', checkpoint, '--json'])
    expect(run.code).toBe(6)
    expect(jsonError(run)).toMatchObject({
      code: 'ERR_EVENTS_REJECTED',
      message: expect.stringContaining(`the event on line 4 (byte ${before.length}) was rejected: `) as unknown,
      details: { line: 4, offset: before.length },
    })
    expect(jsonError(run).hints).toEqual([
      expect.stringContaining('correct that line in its place'),
      'run the same command again to continue',
      expect.stringContaining('--rejects <file>'),
    ])
    expect(dataOf().slice(0, 3)).toEqual([0, 1, 2])
    expect(received.length).toBeLessThan(3 + maxOpenLines)
    // Every event that was sent has its answer.
    expect(totals(run)).toEqual({ published: received.length, ...clean })
  })

  test('are rejected with a long reason, which is whole in the file of rejects and short in messages', async () => {
    const reason = `Invalid field\n${'x'.repeat(3000)}`
    fake.faults.call = (_, response) => {
      send(response, 400, { status: 400, type: 'validation_violation', message: reason, details: [] })
    }
    const [file, rejects] = [await inputFile(lines(1)), newPath('rejects.ndjson')]
    const runs = [
      await publish(['-f', file, '--rejects', rejects, '--max-rejects', '0', '--json']),
      await publish(['-f', file, '--json']),
      await publish(['--type', 'order.created', '--type-version', 'v1', '--data', '1', '--json']),
    ]
    expect(runs.map(({ code }) => code)).toEqual([6, 6, 6])
    for (const run of runs) expect(jsonError(run).message).toMatch(/: Invalid field x{250,300}…$/)
    expect(JSON.parse(await readFile(rejects, 'utf8'))).toMatchObject({ reason, line: lines(1).trimEnd() })
  })

  test('end after more rejects than --max-rejects', async () => {
    const rejects = newPath('rejects.ndjson')
    const file = await inputFile(`${'{"no":1}\n'.repeat(10)}${lines(3)}`)
    const run = await publish(['-f', file, '--rejects', rejects, '--max-rejects', '4', '--json'])
    expect(run.code).toBe(6)
    expect(totals(run)).toEqual({ published: 0, ...clean, rejected: 5 })
    expect(jsonError(run).message).toBe('more than 4 events were rejected; the last reason: event-type is missing')
  })

  test('that were rejected are counted for each run: its exit code and --max-rejects are about this run', async () => {
    const [rejects, checkpoint] = [newPath("it's rejects.ndjson"), newPath('checkpoint')]
    const file = await inputFile(`${'{"no":1}\n'.repeat(3)}${lines(2)}`)
    const args = ['-f', file, '--checkpoint', checkpoint, '--rejects', rejects, '--max-rejects', '3']
    const first = await publish([...args, '--json'])
    expect([first.code, totals(first)]).toEqual([6, { published: 2, ...clean, rejected: 3 }])
    const second = await publish([...args, '--json'])
    expect([second.code, second.stderr, totals(second)]).toEqual([0, '', { published: 2, ...clean, rejected: 3 }])
    await appendFile(file, `{"no":2}\n${eventLine(2)}`)
    const third = await publish(args)
    expect(third.code).toBe(6)
    expect(third.stdout).toBe(
      'this run: published 1, ignored 0 (no subscribers), rejected 1, retried 0, maybe twice 0\nall runs: published 3, ignored 0 (no subscribers), rejected 4\n',
    )
    expect(third.stderr).toContain('error: 1 event was rejected\n')
    // The commands of the hints run as they are.
    const [reasons = '', back = ''] = [...third.stderr.matchAll(/jq .*$/gm)].map(([command]) => command)
    const shell = await start('sh', ['-c', `${reasons} && ${back} && cat corrected.ndjson`], { cwd: folder.path }).end
    expect(shell.stdout.split('\n')).toEqual([
      ...[1, 2, 3, 6].map((line) => `line ${line}: event-type is missing`),
      ...['{"no":1}', '{"no":1}', '{"no":1}', '{"no":2}'],
      '',
    ])
  })

  test('end with 6 without a byte of the pipe after a reject, although it stays open', async () => {
    const running = spawn(process.execPath, [program, 'events', 'publish', '-f', '-'], {
      env: plainEnvironment(environment()),
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    running.stdin.on('error', () => undefined)
    running.stdin.write(`${eventLine(0)}{"no":1}\n`)
    expect(await once(running, 'exit')).toEqual([6, null])
    running.stdin.end()
    expect(dataOf()).toEqual([0])
  })

  test.each([
    ['the page that refuses the certificate', 400, 'text/html', '<html><h1>The SSL certificate error</h1></html>', 4],
    ['the page for another App', 403, 'text/html', '<html><h1>403 Forbidden</h1></html>', 4],
    ['the default backend', 404, 'text/plain', 'default backend - 404', 6],
  ])('stop at %s, which rejects no event', async (_, status, type, body, code) => {
    fake.faults.call = (_request, response) => response.writeHead(status, { 'content-type': type }).end(body)
    const rejects = newPath('rejects.ndjson')
    const run = await publish(['-f', await inputFile(lines(50)), '--rejects', rejects, '--json'])
    expect(run.code).toBe(code)
    expect(totals(run)).toEqual({ published: 0, ...clean })
    expect(await readFile(rejects, 'utf8')).toBe('')
  })

  test('are counted as retried, and as maybe twice, after failures', async () => {
    const failed = new Set<unknown>()
    fake.faults.call = (request, response, body) => {
      const { data } = JSON.parse(body) as { data: number }
      if (data % 10 === 0 && !failed.has(data)) {
        failed.add(data)
        // An answer of the event service, which has not processed the event; or one that does not say so.
        if (data % 20 === 0) send(response, 503, { status: 503, type: 'service_unavailable', message: 'busy' })
        else response.writeHead(500).end('failed')
      } else takeEvent(request, response, body)
    }
    const run = await publish(['-f', await inputFile(lines(200)), '--json'])
    expect(run.code, run.stderr).toBe(0)
    expect(totals(run)).toEqual({ published: 200, ...clean, retried: 20, maybeTwice: 10 })
    expect(dataOf()).toEqual(numbers(200))
  })

  test('are sent as --rate and --concurrency say', async () => {
    const connections = new Set<unknown>()
    fake.faults.call = (request, ...call) => {
      connections.add(request.socket)
      takeEvent(request, ...call)
    }
    const began = performance.now()
    const run = await publish(['-f', await inputFile(lines(60)), '--rate', '50/s', '--concurrency', '2', '--json'])
    expect([run.code, totals(run)]).toEqual([0, { published: 60, ...clean }])
    expect(performance.now() - began).toBeGreaterThan(1100)
    expect(connections.size).toBeLessThanOrEqual(2)
  })

  test('say on stdout what became of them', async () => {
    const run = await publish(['-f', await inputFile(lines(2) + eventLine(2, 'unknown.type'))])
    expect([run.code, run.stderr]).toEqual([
      0,
      'note: nothing in the cluster subscribes to 1 of these events: Kyma dropped it\n',
    ])
    expect(run.stdout).toBe('published 2, ignored 1 (no subscribers), rejected 0, retried 0, maybe twice 0\n')
  })

  test.each([
    ['--max-rejects', '1'],
    ['--rate', 'fast'],
    ['--concurrency', '0'],
    ['--retry-for', '5'],
    ['--key', 'order'],
  ])('%s %s is a usage error', async (flag, value) => {
    expect((await publish(['-f', await inputFile(lines(1)), flag, value])).code).toBe(2)
    expect(received).toEqual([])
  })

  test.each([
    ['a folder', () => folder.path, 'it is a folder'],
    ['missing', () => join(folder.path, 'none'), 'it does not exist'],
  ])('from a file that is %s end with 9, before a checkpoint is created', async (_, path, problem) => {
    const checkpoint = newPath('checkpoint')
    const run = await publish(['-f', path(), '--checkpoint', checkpoint, '--json'])
    expect([run.code, jsonError(run).message]).toEqual([9, `${path()} cannot be read: ${problem}`])
    await expect(stat(checkpoint)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test.each([
    ['by its name', 'exec "$0" "$@" -f "$FILE"'],
    ['on standard input', 'exec "$0" "$@" -f - < "$FILE"'],
  ])(
    'from a file %s end with 9 if it is to take the checkpoint or the rejects, and leave it alone',
    async (_, script) => {
      for (const [content, flag] of [
        ['', '--checkpoint'],
        ['{"offset":0}\n', '--rejects'],
      ] as const) {
        const file = await inputFile(content)
        const { mode } = await stat(file)
        const args = [program, 'events', 'publish', '--json', flag, file]
        const ended = await start('bash', ['-c', script, process.execPath, ...args], {
          env: environment({ FILE: file }),
          limit: 30_000,
        }).end
        expect([ended.code, jsonError(ended).reason]).toEqual([9, 'same-file'])
        expect([await readFile(file, 'utf8'), (await stat(file)).mode]).toEqual([content, mode])
        await expect(stat(`${file}.lock`)).rejects.toMatchObject({ code: 'ENOENT' })
      }
    },
  )

  test.each([
    ['by its name', '"$0" "$@" -f "$FILE" --checkpoint "$FILE.checkpoint"'],
    ['on standard input', '"$0" "$@" -f - < "$FILE"'],
  ])('from a file %s that is truncated meanwhile end with 9', async (_, script) => {
    const file = await inputFile(lines(20_000))
    const running = start('bash', ['-c', script, process.execPath, program, 'events', 'publish', '--json'], {
      env: environment({ FILE: file }),
    })
    await expect.poll(() => received.length, { timeout: 60_000, interval: 5 }).toBeGreaterThan(10)
    await truncate(file)
    const run = await running.end
    expect([run.code, jsonError(run).reason]).toEqual([9, 'truncated'])
    expect(jsonError(run).hint).not.toContain('run the same command again')
    expect(received.length).toBeLessThan(20_000)
  })

  test('are published although the value of their key is nested deep', async () => {
    const deep = `${'['.repeat(5000)}1${']'.repeat(5000)}`
    const file = await inputFile(eventLine(0) + eventLine('deep').replace('"deep"', deep) + eventLine(2))
    const run = await publish(['-f', file, '--key', '/data', '--json'])
    expect([run.code, run.stderr]).toEqual([0, ''])
    expect(totals(run)).toEqual({ published: 3, ...clean })
  })

  test('of which none has the key are published with a warning', async () => {
    const some = eventLine({ order: 1 })
    const runs = [
      await publish(['-f', await inputFile(some + eventLine(1)), '--key', '/data/order']),
      await publish(['-f', await inputFile(some + some), '--key', '/data/nope']),
    ]
    expect(runs.map(({ code, stderr }) => [code, stderr.replace(/\s+/g, ' ')])).toEqual([
      [0, ''],
      [0, 'warning: no event has a value at --key /data/nope: events may have overtaken each other '],
    ])
  })

  test('of the same key arrive in order', async () => {
    const content = numbers(300).map((number) => eventLine({ order: number % 7, number }))
    const run = await publish(['-f', await inputFile(content.join('')), '--key', '/data/order'])
    expect(run.code, run.stderr).toBe(0)
    for (const order of numbers(7)) {
      const arrived = received
        .map(({ data }) => data as { order: number; number: number })
        .filter((data) => data.order === order)
      expect(arrived.map(({ number }) => number)).toEqual(numbers(300).filter((number) => number % 7 === order))
    }
  })
})

describe('a checkpoint', () => {
  test('of a complete run publishes nothing again, and what was appended since', async () => {
    const [file, checkpoint] = [await inputFile(lines(100)), newPath('checkpoint')]
    const again = ['-f', file, '--checkpoint', checkpoint, '--json']
    const runs = [await publish(again), await publish(again)]
    await appendFile(file, lines(50, 100))
    runs.push(await publish(again))
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0])
    expect(runs.map(totals)).toEqual([100, 100, 150].map((published) => ({ published, ...clean })))
    expect(dataOf()).toEqual(numbers(150))
  })

  test.each([
    ['another file', lines(100, 1000)],
    ['a shorter file', lines(50)],
  ])('refuses %s', async (_, other) => {
    const [file, checkpoint] = [await inputFile(lines(100)), newPath('checkpoint')]
    expect((await publish(['-f', file, '--checkpoint', checkpoint])).code).toBe(0)
    const run = await publish(['-f', await inputFile(other), '--checkpoint', checkpoint, '--json'])
    expect([run.code, jsonError(run).reason]).toEqual([9, 'other-input'])
    expect(received).toHaveLength(100)
  })

  test('leaves a last line alone that is still being written, and publishes it once it is complete', async () => {
    const [file, checkpoint, rejects] = [await inputFile(''), newPath('checkpoint'), newPath('rejects.ndjson')]
    const again = ['-f', file, '--checkpoint', checkpoint, '--rejects', rejects, '--json']
    const content = lines(3)
    const runs: Run[] = []
    // Cut within the last line, before its last brace, before its line break, and nowhere.
    const lengths = [content.length - 40, content.length - 2, content.length - 1, content.length]
    for (const [index, length] of lengths.entries()) {
      await appendFile(file, content.slice(lengths[index - 1] ?? 0, length))
      runs.push(await publish(again))
    }
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0, 0])
    expect(runs.map(totals)).toEqual([2, 2, 3, 3].map((published) => ({ published, ...clean })))
    expect(dataOf()).toEqual(numbers(3))
    expect(await readFile(rejects, 'utf8')).toBe('')
    const warnings = runs.map(({ stderr }) => (stderr === '' ? undefined : (JSON.parse(stderr) as unknown)))
    const warning = { code: 'line-unfinished', line: 3, offset: lines(2).length }
    expect(warnings).toMatchObject([{ warning }, { warning }, undefined, undefined])
    const read = await publish(['-f', await inputFile(content.slice(0, -40)), '--checkpoint', newPath('checkpoint')])
    expect(read.stderr.replace(/\s+/g, ' ')).toBe(
      'warning: the last line has no line break and is not complete JSON yet: it is left for the next run ',
    )
  })

  test('is needed for that: without one, a last line that is not complete is rejected', async () => {
    const [file, rejects] = [await inputFile(lines(3).slice(0, -40)), newPath('rejects.ndjson')]
    const run = await publish(['-f', file, '--rejects', rejects, '--json'])
    expect(run.code).toBe(6)
    expect(totals(run)).toEqual({ published: 2, ...clean, rejected: 1 })
  })

  test('passes a last line that is too long: whatever follows, it is rejected', async () => {
    const [file, rejects] = [await inputFile(lines(1) + 'x'.repeat(70_000)), newPath('rejects.ndjson')]
    const run = await publish(['-f', file, '--checkpoint', newPath('checkpoint'), '--rejects', rejects, '--json'])
    expect(run.code).toBe(6)
    expect(totals(run)).toEqual({ published: 1, ...clean, rejected: 1 })
  })

  test('keeps the ids of the other lines when the line that ended the run is corrected in its place', async () => {
    const withoutIds = lines(200).split('\n')
    withoutIds[100] = eventLine('longer or shorter than the right one', 'bad.type').trimEnd()
    const [file, checkpoint] = [await inputFile(withoutIds.join('\n')), newPath('checkpoint')]
    fake.faults.call = (request, response, body) => {
      const delayMs = body.includes('bad.type') ? 1000 : 0
      setTimeout(() => {
        takeEvent(request, response, body)
      }, delayMs)
    }
    const first = await publish(['-f', file, '--checkpoint', checkpoint])
    expect([first.code, first.stderr]).toEqual([6, expect.stringContaining('the event on line 101 (byte ')])
    // Lines after the wrong one were sent meanwhile.
    expect(dataOf().filter((data) => Number(data) > 100).length).toBeGreaterThan(0)
    withoutIds[100] = eventLine(100).trimEnd()
    await writeFile(file, withoutIds.join('\n'))
    const second = await publish(['-f', file, '--checkpoint', checkpoint])
    expect(second.code, second.stderr).toBe(0)
    const ids = new Map<unknown, Set<string>>()
    for (const { id, data } of received) ids.set(data, (ids.get(data) ?? new Set()).add(id))
    expect([...ids.values()].map(({ size }) => size)).toEqual(numbers(200).map(() => 1))
  })

  test('tells a resume after a kill from one after a clean end, and lists no reject twice even at the first line', async () => {
    fake.faults.call = () => undefined
    const [checkpoint, rejects] = [newPath('checkpoint'), newPath('rejects')]
    const file = await inputFile(lines(1) + '{"no":1}\n'.repeat(5) + lines(5, 1))
    const args = ['events', 'publish', '-f', file, '--checkpoint', checkpoint, '--rejects', rejects]
    const listed = async (): Promise<number> =>
      (await readFile(rejects, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '').length
    const until = async (args: readonly string[], signal: NodeJS.Signals): Promise<Run> => {
      const before = fake.requests.length
      const running = start(process.execPath, [program, ...args], { env: environment() })
      await expect.poll(() => fake.requests.length, { timeout: 60_000 }).toBeGreaterThan(before + 5)
      await expect.poll(listed, { timeout: 60_000 }).toBe(5)
      running.child.kill(signal)
      return running.end
    }
    expect((await until(args, 'SIGKILL')).stderr).toBe('')
    const note = `note: continuing at line 1 of ${file}; up to 1,024 events from there on may be sent again, with the same ids, because the run before did not end cleanly\n`
    expect((await until(args, 'SIGKILL')).stderr).toBe(note)
    // A run that is stopped before it has read as far as the killed ones may have done is not clean either.
    expect((await until(args, 'SIGINT')).stderr).toContain(note)
    fake.faults.call = takeEvent
    const finished = await command([...args, '--json'])
    expect([finished.code, await listed()]).toEqual([6, 5])
    expect(JSON.parse(finished.stdout)).toEqual({
      published: 6,
      ignored: 0,
      rejected: 5,
      thisRun: { fromLine: 1, mayRepeat: true, ...clean, published: 6, rejected: 5 },
    })
    const again = await command(args)
    expect([again.code, again.stderr]).toEqual([0, `note: continuing at line 12 of ${file}\n`])
  })

  test('is not complete after a run that did not read as far as a killed one before it may have sent', async () => {
    const checkpoint = newPath('checkpoint')
    const args = ['events', 'publish', '-f', '-', '--checkpoint', checkpoint, '--json']
    const runUntil = async (input: string, isReady: () => boolean, signal: NodeJS.Signals): Promise<string> => {
      const running = spawn(process.execPath, [program, ...args], {
        env: plainEnvironment(environment()),
        stdio: ['pipe', 'pipe', 'ignore'],
      })
      let output = ''
      running.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
      running.stdin.on('error', () => undefined)
      running.stdin.write(input)
      await expect.poll(isReady, { timeout: 60_000 }).toBe(true)
      running.kill(signal)
      await once(running, 'close')
      running.stdin.end()
      return output
    }
    fake.faults.call = () => undefined
    await runUntil(lines(5), () => fake.requests.length > 0, 'SIGKILL')
    fake.faults.call = takeEvent
    const stopped = await runUntil(lines(2), () => received.length === 2, 'SIGINT')
    expect(JSON.parse(stopped)).toMatchObject({ published: 2, thisRun: { fromLine: 1, mayRepeat: true } })
    const finished = await command(args, { input: lines(5) })
    expect(JSON.parse(finished.stdout)).toMatchObject({ published: 5, thisRun: { fromLine: 3, mayRepeat: true } })
    const again = await command(args, { input: lines(5) })
    expect(JSON.parse(again.stdout)).toMatchObject({ published: 5, thisRun: { fromLine: 6, mayRepeat: false } })
  })

  test('whose lock is lost ends the run with that error, after the totals', async () => {
    const checkpoint = newPath('checkpoint')
    const running = start(
      process.execPath,
      [program, 'events', 'publish', '-f', await inputFile(lines(5000)), '--checkpoint', checkpoint, '--rate', '100'],
      { env: environment() },
    )
    await expect.poll(() => received.length, { timeout: 60_000 }).toBeGreaterThan(10)
    await writeFile(join(`${checkpoint}.lock`, 'lock.99'), '{}')
    const run = await running.end
    expect(run.code, run.stderr).toBe(9)
    expect(run.stderr).toContain('was lost to')
    expect(run.stdout).toMatch(/^published [1-9]\d*, ignored 0/)
  })

  test('and a file of rejects that cannot be written any more end the run with the totals and the first error', async () => {
    const [checkpoint, rejects] = [newPath('checkpoint'), newPath('rejects')]
    const file = await inputFile(lines(20) + `{"no":"${'x'.repeat(3000)}"}\n`.repeat(10) + lines(20, 20))
    const args = ['events', 'publish', '-f', file, '--checkpoint', checkpoint, '--rejects', rejects]
    // In blocks of 512 bytes or of a kilobyte: the checkpoint fits, and ten entries do not.
    const limited = ['-c', `ulimit -f 16; exec "$0" "$@"`, process.execPath, program, ...args, '--json']
    const run = await start('sh', limited, { env: environment() }).end
    expect(run.code, run.stderr).toBe(9)
    expect(jsonError(run).message).toContain(`could not write to the file of rejects ${rejects}`)
    expect(jsonError(run).hints).toContain('run the same command again to continue')
    expect(totals(run)).toMatchObject({ published: received.length })
    const resumed = await command([...args, '--json'])
    expect([resumed.code, totals(resumed)]).toEqual([6, { published: 40, ...clean, rejected: 10 }])
  })

  test('and an outage after a success do not blame the port, and say how to continue', async () => {
    fake.faults.call = (request, ...call) => {
      if (received.length < 20) takeEvent(request, ...call)
      else request.socket.destroy()
    }
    const args = ['-f', await inputFile(lines(100)), '--retry-for', '1s', '--json']
    const run = await publish([...args, '--checkpoint', newPath('checkpoint')])
    expect(run.code, run.stderr).toBe(8)
    expect(jsonError(run).hints).toEqual([
      'find out why the gateway does not answer any more: kyconnect info',
      'run the same command again to continue',
    ])
  })

  test('is used by one process at a time', async () => {
    const [file, checkpoint] = [await inputFile(lines(100)), newPath('checkpoint')]
    fake.faults.call = () => undefined
    const first = start(process.execPath, [program, 'events', 'publish', '-f', file, '--checkpoint', checkpoint], {
      env: environment(),
    })
    await expect
      .poll(() => fake.requests.filter((line) => line.includes('/events')).length, { timeout: 30_000 })
      .toBeGreaterThan(0)
    const second = await publish(['-f', file, '--checkpoint', checkpoint, '--json'])
    expect([second.code, jsonError(second).code]).toEqual([9, 'ERR_LOCK_HELD'])
    first.child.kill('SIGKILL')
    await first.end
    fake.faults.call = takeEvent
    const third = await publish(['-f', file, '--checkpoint', checkpoint])
    expect(third.code, third.stderr).toBe(0)
    expect(dataOf()).toEqual(numbers(100))
  })
})

describe('Ctrl-C', () => {
  const interrupt = async (args: readonly string[], isReady: () => boolean): Promise<Run & { readonly ms: number }> => {
    const running = start(process.execPath, [program, 'events', 'publish', ...args, '--json'], { env: environment() })
    await expect.poll(isReady, { timeout: 60_000, interval: 5 }).toBe(true)
    const interrupted = performance.now()
    running.child.kill('SIGINT')
    const run = await running.end
    return { ...run, ms: performance.now() - interrupted }
  }

  test('waits for the answers under way, so that no event is sent again', async () => {
    fake.faults.call = (...call) => {
      setTimeout(() => {
        takeEvent(...call)
      }, 30)
    }
    const args = ['-f', await inputFile(lines(3000)), '--checkpoint', newPath('checkpoint')]
    const run = await interrupt(args, () => received.length > 300)
    expect([run.code, jsonError(run).code]).toEqual([130, 'ERR_INTERRUPTED'])
    expect(totals(run)).toEqual({ published: received.length, ...clean })
    expect(received.length).toBeLessThan(3000)
    fake.faults.call = takeEvent
    const resumed = await publish([...args, '--json'])
    expect(resumed.code, resumed.stderr).toBe(0)
    expect(totals(resumed)).toEqual({ published: 3000, ...clean })
    expect(dataOf()).toEqual(numbers(3000))
  })

  test('waits 5 s for a server that does not answer', async () => {
    let arrived = 0
    fake.faults.call = () => arrived++
    const run = await interrupt(['-f', await inputFile(lines(100))], () => arrived > 0)
    expect(run.code).toBe(130)
    expect(totals(run)).toEqual({ published: 0, ...clean })
    expect(run.ms).toBeGreaterThan(4500)
    expect(run.ms).toBeLessThan(25_000)
  })

  test('ends a run that only tries again', async () => {
    let arrived = 0
    fake.faults.call = (_, response) => {
      arrived++
      response.writeHead(503).end('busy')
    }
    const run = await interrupt(['-f', await inputFile(lines(100))], () => arrived > 20)
    expect(run.code).toBe(130)
    expect(run.ms).toBeLessThan(4500)
  })

  test('ends a run whose pipe is silent', async () => {
    const running = spawn(process.execPath, [program, 'events', 'publish', '-f', '-'], {
      env: plainEnvironment(environment()),
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    running.stdin.on('error', () => undefined)
    running.stdin.write(eventLine(0))
    await expect.poll(() => received.length, { timeout: 30_000 }).toBe(1)
    running.kill('SIGINT')
    expect(await once(running, 'exit')).toEqual([130, null])
    running.stdin.end()
  })

  test.each([
    ['a FIFO that no program has opened', 'SIGINT', 130, 'mkfifo silent1; exec "$0" "$@" -f silent1'],
    ['a FIFO that is silent', 'SIGTERM', 143, 'mkfifo silent2; exec 3<>silent2; exec "$0" "$@" -f silent2 3<&-'],
    ['a pipe to a command that is silent', 'SIGINT', 130, 'exec "$0" "$@" -f <(sleep 3600)'],
  ] as const)('ends a run from %s', async (_, signal, code, script) => {
    const running = spawn('bash', ['-c', script, process.execPath, program, 'events', 'publish', '--json'], {
      env: plainEnvironment(environment()),
      cwd: folder.path,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const ended = once(running, 'exit')
    await sleep(1500)
    running.kill(signal)
    const inTime = await Promise.race([ended, sleep(20_000)])
    running.kill('SIGKILL')
    expect(inTime).toEqual([code, null])
  })
})

/** The real NGINX in the gateway's place, in front of a service that counts. @returns the environment of a run through it */
async function startNginx(take: typeof takeEvent, keepaliveRequests?: number): Promise<Record<string, string>> {
  service = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      take(request, response, Buffer.concat(chunks).toString())
    })
  })
  await new Promise<void>((resolve) => service?.listen(0, '127.0.0.1', resolve))
  nginx = await startNginxGateway({
    servicesUrl: `http://127.0.0.1:${(service.address() as AddressInfo).port}`,
    serverCertificateFile: fake.serverCertificate.certificateFile,
    serverKeyFile: fake.serverCertificate.keyFile,
    clientCaFile: fake.clientAuthority.certificateFile,
    apps: ['demo'],
    ...(keepaliveRequests !== undefined && { keepaliveRequests }),
  })
  return { KYCONNECT_NODE_PORT: String(nginx.port) }
}

test(
  'a run that is killed five times publishes every event, few of them twice, and those with the same id',
  { timeout: 60_000 + manyEvents },
  async () => {
    // Some answers are slow, so that many of the later events are answered before.
    const slow = Math.floor(manyEvents / 8)
    let taken = 0
    const env = environment(
      await startNginx((...call) => {
        if (++taken % slow === 0)
          setTimeout(() => {
            takeEvent(...call)
          }, 400)
        else takeEvent(...call)
      }),
    )
    const file = await inputFile(lines(manyEvents))
    const args = ['-f', file, '--checkpoint', newPath('checkpoint'), '--rejects', newPath('rejects'), '--json']
    const repeats: number[] = []
    let finished: Run | undefined
    for (let round = 0; finished === undefined; round++) {
      const before = received.length
      const known = new Set(received.map(({ id }) => id))
      const running = start(process.execPath, [program, 'events', 'publish', ...args], { env, limit: 600_000 })
      const killAfter = round < kills ? (manyEvents / (kills + 2)) * (0.5 + Math.random() / 2) : Infinity
      const watch = setInterval(() => {
        if (received.length - before > killAfter) running.child.kill('SIGKILL')
      }, 1)
      const run = await running.end
      clearInterval(watch)
      repeats.push(received.slice(before).filter(({ id }) => known.has(id)).length)
      if (run.signal !== 'SIGKILL') finished = run
    }
    expect(finished.code, finished.stderr).toBe(0)
    expect(repeats).toHaveLength(kills + 1)
    expect(Math.max(...repeats)).toBeLessThanOrEqual(maxOpenLines)
    // A test without any repetition would not have killed it while it was busy.
    expect(received.length).toBeGreaterThan(manyEvents)
    expect(new Set(received.map(({ data }) => data)).size).toBe(manyEvents)
    // The same line has the same id in each run.
    expect(new Set(received.map(({ id }) => id)).size).toBe(manyEvents)
    expect(totals(finished)).toEqual({ published: manyEvents, ...clean })
  },
)

test('a stream outlives a renewal by another process, and its next connections have the new certificate', async () => {
  const env = environment(await startNginx(takeEvent, 100))
  const running = spawn(process.execPath, [program, 'events', 'publish', '-f', '-', '--json', '--concurrency', '2'], {
    // Its monotonic clock is fast, so that it looks at the store more often.
    env: plainEnvironment({
      ...env,
      NODE_OPTIONS: `--require ${join(root, 'test', 'support', 'clock.cjs')}`,
      KYCONNECT_TEST_SPEED: '20',
    }),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let output = ''
  running.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const certificates = (): number => new Set(received.map(({ certificate }) => certificate)).size
  let sent = 0
  const feed = async (isEnough: () => boolean): Promise<void> => {
    for (const end = Date.now() + 60_000; !isEnough() && Date.now() < end;) {
      running.stdin.write(lines(20, sent))
      sent += 20
      await sleep(10)
    }
  }
  await feed(() => received.length > 400)
  const renewed = await command(['renew'])
  expect(renewed.code, renewed.stderr).toBe(0)
  await feed(() => certificates() === 2)
  running.stdin.end(lines(200, sent))
  sent += 200
  expect(await once(running, 'close')).toEqual([0, null])
  expect(certificates()).toBe(2)
  expect(JSON.parse(output)).toMatchObject({ published: sent, thisRun: { published: sent, retried: 0 } })
  expect(dataOf()).toEqual(numbers(sent))
})

test('subscribed lists event types, and says so where the release has no such endpoint', async () => {
  fake.faults.call = (_, response) => {
    send(response, 200, { eventsInfo: [{ name: 'order.created', version: 'v1' }] })
  }
  const listed = await command(['events', 'subscribed', '--json'])
  expect([listed.code, JSON.parse(listed.stdout)]).toEqual([
    0,
    { subscribed: [{ type: 'order.created', version: 'v1' }] },
  ])
  fake.faults.call = (_, response) => {
    send(response, 200, { eventsInfo: null })
  }
  expect((await command(['events', 'subscribed', '--json'])).stdout).toBe('{"subscribed":[]}\n')
  fake.faults.call = (_, response) => {
    send(response, 405, { code: 405, error: 'Method not allowed.' })
  }
  const missing = await command(['events', 'subscribed'])
  expect(missing.code).toBe(6)
  expect(missing.stderr).toContain('this release of Kyma does not list subscriptions')
  fake.faults.call = (_, response) =>
    response.writeHead(404, { 'content-type': 'text/plain' }).end('default backend - 404')
  const unknown = await command(['events', 'subscribed'])
  expect(unknown.code).toBe(6)
  expect(unknown.stderr).toContain('check that the App exists in the cluster')
  expect(unknown.stderr).not.toContain('release')
})
