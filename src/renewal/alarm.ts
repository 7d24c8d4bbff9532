/** A pause that can be cut short. A ring while nothing waits ends the next pause at once, so that no ring is lost. */
export class Alarm {
  #isRung = false
  #end: (() => void) | undefined

  /** Ends the present or the next pause. */
  ring(): void {
    this.#isRung = true
    this.#end?.()
  }

  /** Waits. @throws the reason of the signal when it is aborted */
  wait(milliseconds: number, signal: AbortSignal): Promise<'elapsed' | 'rung'> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        this.#end = undefined
        if (signal.aborted) {
          reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
          return
        }
        const wasRung = this.#isRung
        this.#isRung = false
        resolve(wasRung ? 'rung' : 'elapsed')
      }
      const timer = setTimeout(end, milliseconds)
      signal.addEventListener('abort', end, { once: true })
      this.#end = end
      if (signal.aborted || this.#isRung) end()
    })
  }
}
