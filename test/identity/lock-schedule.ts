import { LockHeldError } from '../../src/errors.js'
import { type HeldLock, type LockDeps, takeLock } from '../../src/identity/lock.js'
import { formerLock, type LockFiles } from '../../src/identity/lock-files.js'

/**
 * Lets several processes, which are not real, want one lock, and decides before each step that they share with others which one
 * goes on, and which one dies. A schedule is a list of these decisions, so every one can be tried, and played again.
 */

/** What can happen next: the process takes its next step, dies before it, or (the clock being set on) was silent for too long. */
export interface Choice {
  readonly what: 'step' | 'death' | 'silence'
  readonly actor: number
}

/** What the processes find when they begin. */
export interface Start {
  readonly files: Readonly<Record<string, string>>
  /** Whether each process is on its own machine: locks are then judged by their silence. */
  readonly machines: boolean
  readonly actors: number
  readonly deaths: number
  readonly silences: number
  /** How often each process tries. */
  readonly tries: number
}

/** How a schedule ended. */
export interface Ending {
  readonly choices: readonly Choice[]
  /** Everything that holds two locks at once, or changes what another one holds; empty when all is well. */
  readonly faults: readonly string[]
  readonly holds: number
  /** Whether it went on until every process had ended. */
  readonly isWhole: boolean
}

interface Waiting {
  readonly name: string
  readonly go: () => void
}

/** A lock that names a process which is not alive, on a machine. */
export function deadLock(hostname: string): string {
  return JSON.stringify({ pid: 999, hostname, namespace: '', identity: 'dead', since: 'then' })
}

export class Schedule {
  readonly #start: Start
  readonly #files = new Map<string, { content: string; changedAtMs: number }>()
  #nowMs = 0
  readonly #waiting = new Map<number, Waiting>()
  readonly #dead = new Set<number>()
  readonly #ended = new Set<number>()
  /** What each process has seen, by which equal states are recognized. */
  readonly #seen: string[]
  readonly #inside = new Set<number>()
  readonly #faults: string[] = []
  /** Highest generation in whose name something was changed. */
  #changedBy = 0
  #deaths = 0
  #silences = 0
  #holds = 0

  constructor(start: Start) {
    this.#start = start
    this.#seen = Array.from({ length: start.actors }, () => '')
    for (const [name, content] of Object.entries(start.files)) {
      this.#files.set(name, { content, changedAtMs: -120_000 })
    }
  }

  /**
   * Runs to the end.
   * @param choose picks one of the choices, or undefined to go no further
   */
  async run(choose: (choices: readonly Choice[], state: string) => Choice | undefined): Promise<Ending> {
    const made: Choice[] = []
    for (let actor = 0; actor < this.#start.actors; actor++) void this.#live(actor)
    for (;;) {
      await this.#settle()
      const choices = this.#choices()
      if (choices.length === 0) break
      const choice = choose(choices, this.#state())
      if (choice === undefined) break
      made.push(choice)
      this.#make(choice)
    }
    return { choices: made, faults: this.#faults, holds: this.#holds, isWhole: this.#waiting.size === 0 }
  }

  #choices(): Choice[] {
    const waiting = [...this.#waiting.keys()].sort()
    const deaths = this.#deaths < this.#start.deaths ? waiting : []
    const silences = this.#silences < this.#start.silences ? waiting.slice(0, 1) : []
    return [
      ...waiting.map((actor) => ({ what: 'step' as const, actor })),
      ...deaths.map((actor) => ({ what: 'death' as const, actor })),
      ...silences.map((actor) => ({ what: 'silence' as const, actor })),
    ]
  }

  #make({ what, actor }: Choice): void {
    if (what === 'silence') {
      this.#silences++
      this.#nowMs += 61_000
      return
    }
    const waiting = this.#waiting.get(actor)
    this.#waiting.delete(actor)
    if (what === 'step') waiting?.go()
    else {
      this.#deaths++
      this.#dead.add(actor)
      this.#inside.delete(actor)
    }
  }

  /** Everything that decides what can still happen. */
  #state(): string {
    const files = [...this.#files].map(([name, { content, changedAtMs }]) => [name, content, changedAtMs]).sort()
    const waiting = [...this.#waiting].map(([actor, { name }]) => [actor, name]).sort()
    return JSON.stringify([
      files,
      waiting,
      this.#seen,
      [...this.#dead].sort(),
      [...this.#inside].sort(),
      this.#nowMs,
      this.#changedBy,
    ])
  }

  /** Until every process waits for its turn, or has ended. */
  async #settle(): Promise<void> {
    while (this.#waiting.size + this.#dead.size + this.#ended.size < this.#start.actors) {
      await Promise.resolve()
    }
  }

  /** A process: takes the lock, makes two changes, and releases it. */
  async #live(actor: number): Promise<void> {
    try {
      const lock = await takeLock(this.#filesOf(actor), 'demo', this.#depsOf(actor), (this.#start.tries - 1) * 100)
      this.#holds++
      await this.#hold(actor, lock)
    } catch (error) {
      const lost = error instanceof LockHeldError && (error.reason !== 'lost' || this.#start.silences > 0)
      if (!lost) this.#faults.push(`${actor} failed: ${String(error)}`)
    }
    this.#inside.delete(actor)
    this.#ended.add(actor)
  }

  async #hold(actor: number, lock: HeldLock): Promise<void> {
    const named = [...this.#files].filter(([, { content }]) => content.includes(`"pid":${pidOf(actor)},`))
    const generation = Math.max(...named.map(([name]) => Number(/^lock\.(\d{1,3})$/.exec(name)?.[1] ?? 0)))
    this.#inside.add(actor)
    // Where silence ends a lock, two may believe that they hold it: but only the later one changes anything.
    if (this.#start.silences === 0 && this.#inside.size > 1)
      this.#faults.push(`${[...this.#inside].join(', ')} hold it`)
    for (let change = 0; change < 2; change++) {
      await this.#turn(actor, 'change')
      await this.#unwatched(() => lock.assertHeld())
      if (generation < this.#changedBy) this.#faults.push(`${actor} changes after ${this.#changedBy}`)
      this.#changedBy = generation
    }
    this.#inside.delete(actor)
    await lock.release()
  }

  /** The check and the change that follows it count as one step: what can come between them is said where it is called. */
  #atOnce = false
  async #unwatched(work: () => Promise<void>): Promise<void> {
    this.#atOnce = true
    try {
      await work()
    } finally {
      this.#atOnce = false
    }
  }

  async #turn(actor: number, name: string): Promise<void> {
    if (this.#atOnce) return
    await new Promise<void>((resolve) => {
      this.#waiting.set(actor, { name, go: resolve })
    })
  }

  #depsOf(actor: number): LockDeps {
    let random = 0
    return {
      pid: pidOf(actor),
      hostname: this.#start.machines ? `machine-${actor}` : 'here',
      pidNamespace: () => Promise.resolve(''),
      processIdentity: (pid) =>
        Promise.resolve(pid < 100 && !this.#dead.has(pid - 1) && !this.#ended.has(pid - 1) ? 'alive' : undefined),
      now: () => new Date(0),
      randomHex: (bytes) => `${actor}${++random}`.padStart(bytes * 2, 'f'),
      sleep: () => this.#turn(actor, 'sleep'),
    }
  }

  #filesOf(actor: number): LockFiles {
    /** A step that others may notice, or whose answer depends on them. */
    const shared = async <T>(name: string, step: () => T): Promise<T> => {
      await this.#turn(actor, name)
      const answer = step()
      this.#seen[actor] = `${this.#seen[actor] ?? ''};${name}=${JSON.stringify(answer)}`
      return answer
    }
    const isOwn = (name: string): boolean => /^lock\.f+\d+$/.test(name)
    const alone = (name: string): boolean => isOwn(name) || (name === formerLock && !(name in this.#start.files))
    const step = <T>(what: string, name: string, work: () => T): Promise<T> =>
      alone(name) ? Promise.resolve(work()) : shared(`${what} ${name}`, work)
    return {
      list: () => shared('list', () => [...this.#files.keys()].filter((name) => name !== formerLock).sort()),
      read: (name) => step('read', name, () => this.#files.get(name)?.content),
      write: (name, content) => {
        this.#files.set(name, { content, changedAtMs: this.#nowMs })
        return Promise.resolve()
      },
      link: (name, newName) =>
        step('link', newName, () => {
          const file = this.#files.get(name)
          if (file === undefined || this.#files.has(newName)) return false
          this.#files.set(newName, file)
          return true
        }),
      touch: () => Promise.resolve(),
      changedAtMs: (name) => step('stat', name, () => this.#files.get(name)?.changedAtMs),
      remove: (name) =>
        step('remove', name, () => {
          this.#files.delete(name)
        }),
    }
  }
}

function pidOf(actor: number): number {
  return actor + 1
}
