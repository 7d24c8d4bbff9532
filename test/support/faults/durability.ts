import { dirname } from 'node:path'
import type { Call } from './library.js'

/**
 * What a power failure could take, after each call: the content of files that were not synced since they were written, and names
 * in folders that were not synced since the name was made.
 */
export class Durability {
  readonly #contents = new Set<string>()
  readonly #names = new Set<string>()

  /** Takes note of a call that was made. */
  apply({ name, path, to, failed }: Call): void {
    if (failed) return
    switch (name) {
      case 'create':
        this.#contents.add(path)
        this.#names.add(path)
        break
      case 'write':
        this.#contents.add(path)
        break
      case 'mkdir':
      case 'symlink':
        this.#names.add(path)
        break
      case 'link':
        if (to !== undefined) this.#names.add(to)
        break
      case 'rename':
        if (to !== undefined) this.#rename(path, to)
        break
      case 'unlink':
      case 'rmdir':
        for (const set of [this.#contents, this.#names]) for (const lost of belowOrAt(set, path)) set.delete(lost)
        break
      case 'fsync':
        this.#contents.delete(path)
        for (const made of [...this.#names].filter((other) => dirname(other) === path)) this.#names.delete(made)
        break
    }
  }

  /** What of a file or folder, of all that is in it, and of the way to it, would be lost now. */
  unsafe(path: string): string[] {
    const onTheWay = [...this.#names].filter((made) => path.startsWith(`${made}/`))
    return [
      ...onTheWay.map((made) => `name ${made}`),
      ...belowOrAt(this.#names, path).map((made) => `name ${made}`),
      ...belowOrAt(this.#contents, path).map((written) => `content ${written}`),
    ]
  }

  #rename(from: string, to: string): void {
    for (const set of [this.#contents, this.#names]) {
      // What was there under the new name is gone.
      for (const replaced of belowOrAt(set, to)) set.delete(replaced)
      for (const moved of belowOrAt(set, from)) {
        set.delete(moved)
        set.add(to + moved.slice(from.length))
      }
    }
    this.#names.add(to)
  }
}

function belowOrAt(paths: ReadonlySet<string>, path: string): string[] {
  return [...paths].filter((other) => other === path || other.startsWith(`${path}/`))
}
