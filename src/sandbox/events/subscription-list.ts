import type { Events, Subscription } from './events.js'
import { eventAnswer } from './event-answers.js'

/** Paths are clean here: any other was redirected to its clean form. */
const PATH = /^\/[^/]+\/v1\/events\/subscribed$/

/**
 * Answers `GET …/events/subscribed` as releases from 1.1 on do; 1.0 has no such list, and its Event service answers 405 (docs/contract.md
 * §10). Any other request is passed on.
 */
export function withSubscriptionList(events: Events, subscriptions: readonly Subscription[]): Events {
  const eventsInfo = subscriptions.map(({ type, version }) => ({ name: type, version }))
  const list = eventAnswer(200, { eventsInfo: eventsInfo.length === 0 ? null : eventsInfo })
  return (app, request) => (request.method === 'GET' && PATH.test(request.path) ? list : events(app, request))
}
