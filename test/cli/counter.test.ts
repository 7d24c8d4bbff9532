import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { startCounter } from '../../src/cli/output/counter.js'
import { readRuntime } from '../../src/runtime.js'

/** What a counter writes, with a short interval. */
function startedOn(
  isTerminal: boolean,
  { draws = true, logs = true, columns = 80, environment = {} } = {},
): { written: string[]; counter: ReturnType<typeof startCounter>; show: { text: string; columns: number } } {
  const written: string[] = []
  const show = { text: '1 published', columns }
  const write = (text: string | Uint8Array): Promise<void> => {
    written.push(text.toString())
    return Promise.resolve()
  }
  const counter = startCounter(
    { describe: () => show.text, draws, logs },
    {
      runtime: { ...readRuntime(new AbortController().signal), environment },
      progressEveryMs: 10,
      stderr: {
        isTerminal,
        columns: () => show.columns,
        write,
        writeInBackground: write,
        stream: () => process.stderr,
      },
    },
  )
  return { written, counter, show }
}

const erase = '\r\u001b[J'

test('without a terminal, a line is written now and then until the end', async () => {
  const { written, counter, show } = startedOn(false)
  await vi.waitFor(() => {
    expect(written.length).toBeGreaterThan(1)
  }, 20_000)
  show.text = '2 published'
  await vi.waitFor(() => {
    expect(written).toContain('2 published\n')
  }, 20_000)
  counter.stop()
  const { length } = written
  await sleep(50)
  expect(written.slice(0, 2)).toEqual(['1 published\n', '1 published\n'])
  expect(written.length).toBe(length)
})

test.each([
  ['with --json', false, { draws: false, logs: false }],
  ['with --json on a terminal', true, { draws: false, logs: false }],
])('%s nothing is shown', async (_, isTerminal, options) => {
  const { written, counter } = startedOn(isTerminal, options)
  await sleep(50)
  counter.stop()
  expect(written).toEqual([])
})

test.each([{ TERM: 'dumb' }, { CI: 'true' }])('on a terminal with %o nothing is drawn', async (environment) => {
  const { written, counter } = startedOn(true, { environment })
  await vi.waitFor(() => {
    expect(written).toContain('1 published\n')
  }, 20_000)
  counter.stop()
  expect(written.join('')).not.toContain('\u001b')
})

test('on a terminal, other lines appear above it: it is erased before and drawn again after them', () => {
  const { written, counter } = startedOn(true)
  written.length = 0
  counter.interrupt(() => {
    written.push('warning: the gateway is away\n')
  })
  expect(written).toEqual([erase, 'warning: the gateway is away\n', expect.stringContaining('1 published')])
  written.length = 0
  counter.stop()
  expect(written).toEqual([`${erase}\u001b[?25h`])
})

test('on a terminal, it is redrawn by a timer, and never wider than the window', async () => {
  const { written, counter, show } = startedOn(true)
  show.text = 'x'.repeat(200)
  show.columns = 40
  written.length = 0
  await vi.waitFor(() => {
    expect(written.length).toBeGreaterThan(1)
  }, 20_000)
  counter.stop()
  // It leaves the cursor at the beginning of the line, and erases everything after the text.
  expect(written[0]).toMatch(/^\u001b\[\?25l\r. x{37}\u001b\[J\r$/u)
})
