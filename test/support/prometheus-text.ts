/** One line of a metric, as Prometheus reads it. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface MetricFamily {
  readonly help: string
  readonly type: string
  readonly samples: readonly Sample[]
}

/**
 * Reads the text format of Prometheus, version 0.0.4, character by character and strictly: HELP, then TYPE, then the samples of one
 * metric, each metric once, no sample twice, and a line feed at the end of every line. @throws Error that names the line
 */
export function parsePrometheusText(text: string): Map<string, MetricFamily> {
  const families = new Map<string, { help: string; type: string; samples: Sample[] }>()
  if (text === '') return families
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  let help: readonly [string, string] | undefined
  let current = ''
  const seen = new Set<string>()
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line)
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment
      if (kind === 'HELP') {
        if (help !== undefined || families.has(name)) throw new Error(`a second HELP: ${line}`)
        help = [name, unescape(rest, 'help')]
      } else {
        if (help?.[0] !== name || !/^(counter|gauge)$/.test(rest)) throw new Error(`TYPE does not fit: ${line}`)
        families.set(name, { help: help[1], type: rest, samples: [] })
        help = undefined
        current = name
      }
      continue
    }
    const sample = parseSample(line)
    const family = families.get(sample.name)
    if (help !== undefined || family === undefined || sample.name !== current) throw new Error(`out of place: ${line}`)
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()])
    if (seen.has(key)) throw new Error(`twice: ${line}`)
    seen.add(key)
    family.samples.push(sample)
  }
  for (const [name, { samples }] of families) if (samples.length === 0) throw new Error(`${name} has no sample`)
  return families
}

function parseSample(line: string): Sample {
  const bad = (at: number): Error => new Error(`character ${at} of ${line}`)
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0]
  if (name === undefined) throw bad(0)
  const labels: Record<string, string> = {}
  let at = name.length
  if (line[at] === '{') {
    at++
    while (line[at] !== '}') {
      const label = /^[a-zA-Z_][a-zA-Z0-9_]*(?==")/.exec(line.slice(at))?.[0]
      if (label === undefined || Object.hasOwn(labels, label)) throw bad(at)
      at += label.length + 2
      const from = at
      while (line[at] !== '"') {
        if (at >= line.length) throw bad(at)
        at += line[at] === '\\' ? 2 : 1
      }
      labels[label] = unescape(line.slice(from, at), 'label')
      at++
      if (line[at] === ',') at++
      else if (line[at] !== '}') throw bad(at)
    }
    at++
  }
  if (line[at] !== ' ') throw bad(at)
  const number = line.slice(at + 1)
  if (!/^[+-]?(\d+(\.\d+)?(e[+-]?\d+)?|Inf|NaN)$/i.test(number)) throw bad(at + 1)
  return { name, labels, value: Number(number.replace(/inf/i, 'Infinity')) }
}

/** A label escapes backslash, quote and line feed, a help text backslash and line feed; any other escape is an error. */
function unescape(text: string, where: 'label' | 'help'): string {
  return text.replace(/\\(.?)/gs, (whole, character: string) => {
    if (character === '\\') return '\\'
    if (character === 'n') return '\n'
    if (character === '"' && where === 'label') return '"'
    throw new Error(`escape ${whole}`)
  })
}
