import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** An event; its id is the one that the listener answers with. */
export const eventBody = JSON.stringify({
  'event-type': 'order.created',
  'event-type-version': 'v1',
  'event-time': '2019-04-11T08:30:00Z',
  'event-id': '31109198-4d69-4ae0-972d-76117f3748c8',
  data: { orderCode: '76545762' },
})

/**
 * Starts a plain HTTP service that counts events. The caller ends it.
 * @param delayMs how long it takes for an answer
 */
export async function startListener(delayMs) {
  const script = join(dirname(fileURLToPath(import.meta.url)), 'lane-listener.js')
  const listener = spawn(process.execPath, [script, String(delayMs)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: listener.stdout })[Symbol.asyncIterator]()
  const received = async () => {
    listener.stdin.write('count\n')
    return Number((await lines.next()).value)
  }
  return { listener, upstreamPort: Number((await lines.next()).value), received }
}
