import type { EncodedEvent } from './event-encoder.js'
import { EventSender, type Outcome, type SenderDeps, type SenderOptions } from './event-sender.js'

/** Publishes one event, and tries again as for many. @throws what ended the sending */
export async function publishOne(
  { id, body }: EncodedEvent,
  options: SenderOptions,
  deps: Omit<SenderDeps, 'onPipeliningGivenUp'>,
): Promise<Outcome> {
  const items = [{ id, body, key: undefined }]
  let outcome: Outcome | undefined
  const sender = new EventSender(
    {
      next: () => items.shift(),
      onOutcome: (_, result) => {
        outcome = result
      },
      onTrouble: () => undefined,
    },
    { ...options, concurrency: 1 },
    { ...deps, onPipeliningGivenUp: () => undefined },
  )
  sender.wake()
  await sender.finish()
  if (outcome === undefined) throw new Error('the event has no outcome')
  return outcome
}
