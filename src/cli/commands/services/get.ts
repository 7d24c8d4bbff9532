import { RequestRefusedError } from '../../../errors.js'
import { stripControl } from '../../../redaction.js'
import type { RegisteredService } from '../../../registry/registered-service.js'
import type { Context } from '../../context.js'
import { indentJson } from '../../output/json-layout.js'
import { findService } from '../../../registry/find-service.js'
import { type RegistryOptions, withRegistry } from './registry-session.js'

/** The flags of the command, as they are given. */
export type GetOptions = RegistryOptions

export async function runGet(given: string, options: GetOptions, context: Context): Promise<void> {
  const { stdout } = context
  await withRegistry(options, context, async ({ registry: { client } }) => {
    const { id } = findService(await client.list(), given)
    const found = await client.get(id)
    if (found === undefined) {
      throw new RequestRefusedError(`the service ${id} has been deleted since it was listed`, {
        hints: ['see which are registered: kyconnect services list'],
      })
    }
    const json = withId(found)
    await stdout.write(stdout.isTerminal && options.json !== true ? `${stripControl(indentJson(json))}\n` : `${json}\n`)
  })
}

/** What the Registry returned, byte by byte, with the id, which it leaves out. */
function withId({ id, json }: RegisteredService): string {
  const rest = json.slice(json.indexOf('{') + 1).trim()
  return `{"id":${JSON.stringify(id)}${rest.startsWith('}') ? '' : ','}${rest}`
}
