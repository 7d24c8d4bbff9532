import type { Daemon } from './daemon.js'

/** The daemon's own counters, in Prometheus' text format; nothing without identities. Profile names need no escaping. */
export function formatCounters({ counters }: Pick<Daemon, 'counters'>): string {
  if (counters.length === 0) return ''
  return [
    family('kyconnect_renewals_total', 'Renewals by this daemon since it started.', counters, (each) => each.renewals),
    family(
      'kyconnect_renewal_failures_total',
      'Renewals that failed since this daemon started.',
      counters,
      (each) => each.failures,
    ),
  ].join('')
}

type Counters = Daemon['counters']

function family(name: string, help: string, counters: Counters, count: (each: Counters[number]) => number): string {
  const samples = counters.map((each) => `${name}{profile="${each.profile}"} ${count(each)}\n`)
  return `# HELP ${name} ${help}\n# TYPE ${name} counter\n${samples.join('')}`
}
