/** The input ends before the offset at which reading should continue. */
export class InputEndedEarly extends Error {
  constructor(
    readonly length: number,
    readonly offset: number,
  ) {
    super(`the input has ${length} bytes, and was to be read from byte ${offset}`)
  }
}
