import { readFileSync } from 'node:fs'
import { run } from '../support/apply.js'
import { openRegistry } from '../support/registry.js'
import { describedServices } from '../support/services.js'

/** A process that applies services to a Registry: its port, the file of its CA, and which services. */
const [port = '', caFile = '', which = ''] = process.argv.slice(2)
const registry = openRegistry({ port: Number(port), ca: readFileSync(caFile, 'utf8'), cert: undefined, key: undefined })
const { results } = await run(registry, describedServices(which), { prune: true }, { replace: true, concurrency: 2 })
await registry.close()
process.exitCode = results.every(({ outcome }) => outcome === 'done') ? 0 : 1
