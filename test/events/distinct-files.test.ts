import { linkSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { requireDistinctFiles } from '../../src/events/distinct-files.js'
import { openInputFile, streamInput } from '../../src/events/event-input.js'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'distinct-'))
  path = join(folder, 'events.ndjson')
  writeFileSync(path, '')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

test('neither the checkpoint nor the rejects may be the input, by whatever name or link', async () => {
  symlinkSync(path, join(folder, 'symbolic'))
  linkSync(path, join(folder, 'hard'))
  const inputs = [
    await openInputFile(path),
    streamInput(Readable.from([]), 'standard input', () => statSync(path, { bigint: true })),
  ]
  for (const input of inputs) {
    for (const name of ['events.ndjson', 'symbolic', 'hard', join('..', folder.slice(tmpdir().length), 'hard')]) {
      const same = join(folder, name)
      for (const [flag, checkpoint, rejects] of [
        ['--checkpoint', same, undefined],
        ['--rejects', undefined, same],
      ] as const) {
        await expect(requireDistinctFiles(input, checkpoint, rejects)).rejects.toMatchObject({
          code: 'ERR_FILES',
          reason: 'same-file',
          message: `--file and ${flag} name the same file: ${same}`,
        })
      }
    }
    await requireDistinctFiles(input, join(folder, 'a'), join(folder, 'b'))
    await input.close()
  }
})

test('the checkpoint and the rejects may not be one file, whether it exists or not', async () => {
  const input = streamInput(Readable.from([]))
  mkdirSync(join(folder, 'sub'))
  symlinkSync(folder, join(folder, 'sub', 'up'))
  writeFileSync(join(folder, 'exists'), '')
  for (const name of ['exists', 'new']) {
    const [first, second] = [join(folder, name), join(folder, 'sub', 'up', name)]
    await expect(requireDistinctFiles(input, first, second)).rejects.toMatchObject({
      reason: 'same-file',
      message: `--checkpoint and --rejects name the same file: ${second}`,
    })
  }
  await requireDistinctFiles(input, join(folder, 'new1'), join(folder, 'new2'))
  await input.close()
})
