import type { EncodedEvent } from './event-encoder.js'
import { EventSender, type Outcome, type SenderDeps, type SenderOptions } from './event-sender.js'
import type { TroubleReport } from './trouble.js'

/** Publishes one event, and retries as for many. @throws what ended the sending */
export async function publishOne(
  { id, body }: EncodedEvent,
  options: SenderOptions,
  deps: Omit<SenderDeps, 'onPipeliningGivenUp'>,
  report: TroubleReport,
): Promise<Outcome> {
  const items = [{ id, body, key: undefined }]
  let outcome: Outcome | undefined
  const sender = new EventSender(
    {
      next: () => items.shift(),
      onOutcome: (_, result) => {
        outcome = result
      },
      onTrouble: (error) => {
        report.onTrouble(error)
      },
      onRecovery: () => {
        report.onRecovery()
      },
    },
    { ...options, concurrency: 1 },
    { ...deps, onPipeliningGivenUp: () => undefined },
  )
  sender.wake()
  await sender.finish()
  if (outcome === undefined) throw new Error('the event has no outcome')
  return outcome
}
