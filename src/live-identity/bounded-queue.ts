/** A queue with a fixed number of places. Taking an item from it costs the same however many it holds. */
export class BoundedQueue<Item> {
  readonly #places: (Item | undefined)[]
  #first = 0
  #size = 0

  constructor(capacity: number) {
    this.#places = new Array<Item | undefined>(capacity).fill(undefined)
  }

  get isEmpty(): boolean {
    return this.#size === 0
  }

  /** Adds an item; there must be a free place. */
  put(item: Item): void {
    if (this.#size === this.#places.length) throw new Error('the queue is full')
    this.#places[(this.#first + this.#size++) % this.#places.length] = item
  }

  /** Takes the item that was added first; undefined if there is none. */
  take(): Item | undefined {
    const item = this.#places[this.#first]
    if (this.#size === 0) return undefined
    // An event may be large, and must not be kept until its place is needed.
    this.#places[this.#first] = undefined
    this.#first = (this.#first + 1) % this.#places.length
    this.#size--
    return item
  }
}
