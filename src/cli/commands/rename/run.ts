import type { Context } from '../../context.js'
import { jsonLine } from '../../output/json-document.js'
import type { OutputOptions } from '../../output/output.js'
import { wrapWords } from '../../output/word-wrap.js'
import { leftLines } from '../remove/run.js'

export async function runRename(from: string, to: string, options: OutputOptions, context: Context): Promise<void> {
  const { kyconnect, stdout, stderr } = context
  const left = await kyconnect.rename(from, to)
  if (options.json === true) await stdout.write(jsonLine({ from, to, left }))
  else {
    const lines = [`Renamed the identity "${from}" to "${to}".`, ...leftLines(left)]
    await stderr.write(wrapWords(`${lines.join('\n')}\n`, stderr.columns()))
  }
}
