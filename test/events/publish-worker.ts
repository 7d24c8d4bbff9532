import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Checkpoint } from '../../src/events/checkpoint.js'
import { EventEncoder } from '../../src/events/event-encoder.js'
import { openInputFile } from '../../src/events/event-input.js'
import { openLines } from '../../src/events/open-lines.js'
import { RejectsFile } from '../../src/events/rejects-file.js'
import { Window } from '../../src/events/window.js'
import { processDeps } from './checkpoint-deps.js'

/** Publishes the lines of `events.ndjson` to the file `received`, with answers in random order, until it ends or is killed. */
const [folder = ''] = process.argv.slice(2)
const target = { source: 'demo', gatewayHost: 'gateway.kyma.local' }
const received = openSync(join(folder, 'received'), 'a')

const checkpoint = await Checkpoint.open(join(folder, 'checkpoint'), target, processDeps)
const { offset, seed, counts, isComplete } = checkpoint.found
const rejects = await RejectsFile.open(join(folder, 'rejects'), isComplete ? undefined : offset)
checkpoint.syncFirst(rejects)
const input = await openInputFile(join(folder, 'events.ndjson'))
const reader = await openLines(input, checkpoint, new AbortController().signal)
const encoder = new EventEncoder({ source: 'demo', seed, now: processDeps.now })
const window = new Window(counts, checkpoint)
const answers: (() => void)[] = []

await checkpoint.begin()
let hasMore = true
while (hasMore || !window.isSettled) {
  while (hasMore && window.hasRoom()) {
    const line = reader.take()
    if (line === undefined) {
      hasMore = await reader.fill()
      continue
    }
    const number = window.add(line)
    const event = line.bytes && encoder.encodeLine(line.bytes, line.number)
    answers.push(() => {
      if (event?.kind === 'event') {
        writeSync(received, `${line.offset} ${event.id}\n`)
        window.settle(number, 'published')
      } else {
        const reason = event?.reason ?? 'too long'
        rejects.append(line, { reason, field: event?.field, status: undefined })
        window.settle(number, 'rejected')
      }
    })
  }
  // Some of the answers arrive, in any order.
  for (let count = Math.ceil(Math.random() * 100); count > 0 && answers.length > 0; count--) {
    answers.splice(Math.floor(Math.random() * Math.min(answers.length, 256)), 1)[0]?.()
  }
  await new Promise((resolve) => setImmediate(resolve))
}
await rejects.close()
await checkpoint.close(true)
await input.close()
const closed = await Checkpoint.open(join(folder, 'checkpoint'), target, processDeps)
process.stdout.write(JSON.stringify(closed.found.counts))
await closed.close(true)
