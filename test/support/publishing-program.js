// A program that publishes an event every 20 ms with publishEvents, until a time, and counts. Arguments: the home, and that time in
// milliseconds since 1970.
import { openIdentity, publishEvents } from '../../dist/index.js'

const [home, untilMs] = process.argv.slice(2)
const renewed = []
const errors = []
const outcomes = {}
const identity = await openIdentity({
  store: home,
  onRenewed: ({ fingerprint }) => renewed.push(fingerprint),
  onError: (error) => errors.push(String(error)),
})

async function* events() {
  for (let number = 0; Date.now() < Number(untilMs); number++) {
    yield {
      'event-type': 'order.created',
      'event-type-version': 'v1',
      'event-time': new Date().toISOString(),
      data: { number },
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

let failure = null
try {
  for await (const { outcome } of publishEvents(identity, events(), { concurrency: 2 }))
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
} catch (error) {
  failure = String(error)
}
await identity.close()
console.log(JSON.stringify({ outcomes, renewed, errors, failure }))
