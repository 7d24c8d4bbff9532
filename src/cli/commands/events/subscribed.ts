import { readSubscribed } from '../../../events/subscribed.js'
import { oneLine } from '../../../redaction.js'
import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import type { OutputOptions } from '../../output/output.js'
import { createProgressRenderer } from '../../output/progress-renderer.js'
import { styleFor } from '../../output/style.js'
import { formatRows } from '../../output/rows.js'
import { namedProfile, type NetworkOptions, routeChoice } from '../../route-choice.js'

/** The flags of the command, as they are given. */
export interface SubscribedOptions extends NetworkOptions, OutputOptions {
  readonly profile?: string
}

export async function runSubscribed(options: SubscribedOptions, context: Context): Promise<void> {
  const { kyconnect, runtime, stdout, stderr } = context
  const json = options.json === true
  const progress = await createProgressRenderer({ json, verbose: options.verbose === true }, context)
  const choice = await routeChoice(options, context)
  const identity = await kyconnect.identity(namedProfile(options.profile, context))
  if (choice.insecure) progress.emit({ type: 'warning', warning: 'insecure' })
  const gateway = kyconnect.openGateway(identity, { choice, emit: progress.emit, trace: progress.trace })
  try {
    const types = await readSubscribed(gateway)
    if (json) await stdout.write(jsonLine({ subscribed: types }))
    else if (types.length === 0) await stderr.write('nothing in the cluster subscribes to events of this App\n')
    else {
      const [heading = '', ...rows] = formatRows([
        ['TYPE', 'VERSION'],
        ...types.map(({ type, version }) => [oneLine(type), oneLine(version)]),
      ])
      const style = styleFor(stdout, runtime.environment)
      await stdout.write([style.dim(heading), ...rows].map((line) => `${line}\n`).join(''))
    }
  } finally {
    await gateway.close()
  }
}
