/** The runs of the subcommands of `events`. */
export { type PublishOptions, runPublish } from './publish.js'
export { runSubscribed, type SubscribedOptions } from './subscribed.js'
