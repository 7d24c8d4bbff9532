import type { Place } from '../place.js'

/** Finds the line and the column of an offset. */
export class Lines {
  readonly #text: string
  readonly #file: string
  #starts: number[] | undefined

  /** @param file as messages name it */
  constructor(file: string, text: string) {
    this.#file = file
    this.#text = text
  }

  placeOf(offset: number): Place {
    const starts = (this.#starts ??= startsOfLines(this.#text))
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    // A character outside the basic plane is two units of the text and one column.
    const before = this.#text.slice(starts[low], offset)
    return { file: this.#file, line: low + 1, column: Array.from(before).length + 1 }
  }
}

function startsOfLines(text: string): number[] {
  const starts = [0]
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    // CR LF is one line break; a CR alone is one too, as in YAML.
    if (code === 10 || (code === 13 && text.charCodeAt(at + 1) !== 10)) starts.push(at + 1)
  }
  return starts
}
