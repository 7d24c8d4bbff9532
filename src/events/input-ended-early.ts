/** The input ends before the offset at which reading should continue. */
export class InputEndedEarly extends Error {
  /** @param length of the input, in bytes */
  constructor(readonly length: number) {
    super(`the input ends after ${length} bytes`)
  }
}
