/** Reads an iterable one value at a time, and can close it at any moment: `for await` closes one only between two values. */
export class ClosableSource<Value> {
  readonly #iterator: AsyncIterator<Value, unknown>
  #isOpen = true
  #isReading = false

  constructor(iterable: AsyncIterable<Value> | Iterable<Value>) {
    this.#iterator = Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : awaitEach(iterable)
  }

  /** @throws what the iterable throws */
  async next(): Promise<IteratorResult<Value, unknown>> {
    this.#isReading = true
    try {
      const result = await this.#iterator.next()
      if (result.done === true) this.#isOpen = false
      return result
    } catch (error) {
      // An iterator that has thrown has ended, and is not closed.
      this.#isOpen = false
      throw error
    } finally {
      this.#isReading = false
    }
  }

  /**
   * Calls the iterator's `return` unless the iterator has ended. If a value has been asked for and has not arrived, it does not wait for the
   * iterator to close: a generator closes only when it gets to its next `yield`, which may never happen. Later calls do nothing.
   * @throws what `return` throws, if this waits for it
   */
  async close(): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    const closing = this.#callReturn()
    if (this.#isReading) closing.catch(() => undefined)
    else await closing
  }

  async #callReturn(): Promise<void> {
    await this.#iterator.return?.()
  }
}

/** Waits for each value of an iterable, which may be a promise, as `for await` does. */
async function* awaitEach<Value>(iterable: Iterable<Value>): AsyncGenerator<Value, void, void> {
  for (const value of iterable) yield await value
}
