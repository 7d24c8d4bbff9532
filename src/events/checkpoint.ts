import { createHash } from 'node:crypto'
import { constants, writeSync } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { asError, FilesError } from '../errors.js'
import { type HeldLock, lockCheckpoint, type LockDeps } from './checkpoint-lock.js'
import { type Counts, decodeSlot, encodeSlot, type Mark, noCounts, type Slot, slotBytes } from './checkpoint-slot.js'
import { nameFileError } from './file-error.js'
import type { Line } from './line-reader.js'

export interface CheckpointDeps extends LockDeps {
  /** Runs work once the events that have already happened are handled: setImmediate. */
  readonly onNextTurn: (work: () => void) => void
  /** Runs work after a time. @returns cancels it */
  readonly after: (milliseconds: number, work: () => void) => () => void
}

/** Where the lines of a checkpoint are published to: the same lines may have to be published elsewhere as well. */
export interface Target {
  /** The App's name, as the bus sees it. */
  readonly source: string
  readonly gatewayHost: string
}

/** The two slots are so far apart that no block of a disk holds both. */
const slotDistanceBytes = 4096
const fileBytes = 2 * slotDistanceBytes
/** Milliseconds after which what was written is on disk. */
export const syncEveryMs = 1000

/**
 * Remembers in a file how far an input has been published, so that a process that was killed at any moment can be continued.
 *
 * The file has two slots that are written in turn, each with a sequence number and a checksum: if one was not written completely, the
 * other one still has the state of one write earlier. A write reaches the operating system at once, so a killed process loses
 * nothing; it is on disk after at most a second. After a power failure, the lines of that second are sent again, with the same ids.
 */
export class Checkpoint {
  /** How far earlier runs came; offset 0 if there was none. */
  readonly found: Mark
  readonly #path: string
  readonly #file: FileHandle
  readonly #lock: HeldLock
  readonly #deps: CheckpointDeps
  #sequence: number
  /** As it was last written. */
  #mark: Mark
  /** The last line to include, which is not written yet. */
  #line: Line | undefined
  /** How all lines up to that one were answered. */
  #counts: Counts
  #isScheduled = false
  #needsSync = false
  #cancelSync: (() => void) | undefined
  #syncing: Promise<void> = Promise.resolve()
  #syncedFirst: { sync(): Promise<void> } | undefined
  #failure: Error | undefined
  #isClosed = false

  private constructor(path: string, file: FileHandle, lock: HeldLock, slot: Slot, deps: CheckpointDeps) {
    this.#path = path
    this.#file = file
    this.#lock = lock
    this.#deps = deps
    this.#sequence = slot.sequence
    this.#mark = this.found = slot.mark
    this.#counts = slot.mark.counts
  }

  /**
   * Opens a checkpoint, or creates it. It is locked until it is closed, or until the process ends.
   * @throws LockHeldError; FilesError if the file is something else, belongs to another target, or cannot be used
   */
  static async open(path: string, target: Target, deps: CheckpointDeps): Promise<Checkpoint> {
    try {
      const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
      let lock: HeldLock | undefined
      try {
        if (!(await file.stat()).isFile()) throw notACheckpoint(path, 'it is not a plain file')
        // The same file may have several paths.
        const realPath = await realpath(path)
        lock = await lockCheckpoint(realPath, deps)
        const found = await readSlot(file, path)
        if (found !== undefined && found.mark.target !== hashOfTarget(target)) throw otherTarget(path, target)
        const slot = found ?? (await createSlots(file, dirname(realPath), newMark(target, deps.randomHex(16))))
        return new Checkpoint(path, file, lock, slot, deps)
      } catch (error) {
        await file.close()
        await lock?.release()
        throw error
      }
    } catch (error) {
      throw checkpointError(error, path, 'open')
    }
  }

  /** The offset that a process would continue from if this one were killed now. */
  get writtenOffset(): number {
    return this.#mark.offset
  }

  /**
   * Refuses an input whose bytes before the offset differ from those that were published.
   * @param isStream whether the input is a pipe, which has no name
   * @throws FilesError
   */
  checkTail(tail: Buffer, isStream: boolean): void {
    if (hashOf(tail) === this.found.tailHash) return
    throw this.#otherInput(`the ${tail.length} bytes before byte ${this.found.offset} differ`, isStream)
  }

  /** The error for an input that ends before the offset. */
  shorterInputError(length: number, isStream: boolean): FilesError {
    return this.#otherInput(
      `it has ${length} bytes, but ${this.found.offset} bytes have already been published`,
      isStream,
    )
  }

  /**
   * Remembers that a run is under way: after this, lines may be sent that the checkpoint does not include.
   * @throws FilesError, LockHeldError
   */
  async begin(): Promise<void> {
    if (this.#mark.isComplete) this.#writeMark({ ...this.#mark, isComplete: false })
    await this.#sync()
    this.#throwFailure()
  }

  /**
   * Remembers that all lines up to this one, and this one, have been answered. It is written in the next turn of the event loop.
   * @throws FilesError if an earlier write failed; LockHeldError if the lock was lost
   */
  advance(line: Line, counts: Counts): void {
    this.#throwFailure()
    this.#line = line
    this.#counts = counts
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#deps.onNextTurn(() => {
      this.#isScheduled = false
      this.#write()
    })
  }

  /** Writes what is pending now. @throws as advance */
  flush(): void {
    this.#write()
    this.#throwFailure()
  }

  /** Makes a file reach the disk before the checkpoint does: the rejects that the checkpoint has passed must not be lost. */
  syncFirst(file: { sync(): Promise<void> }): void {
    this.#syncedFirst = file
  }

  /**
   * Writes what is pending, waits until it is on disk, and releases the lock.
   * @param isComplete whether every line that was read has been answered
   * @throws FilesError, LockHeldError
   */
  async close(isComplete: boolean): Promise<void> {
    if (this.#isClosed) return
    this.#write()
    if (isComplete && !this.#mark.isComplete) this.#writeMark({ ...this.#mark, isComplete })
    this.#isClosed = true
    this.#cancelSync?.()
    await this.#syncing
    await this.#sync()
    for (const close of [() => this.#file.close(), () => this.#lock.release()]) {
      try {
        await close()
      } catch (error) {
        this.#fail(error)
      }
    }
    this.#throwFailure()
  }

  #write(): void {
    const line = this.#line
    if (line === undefined || this.#isClosed) return
    this.#line = undefined
    const { end: offset, number: lines } = line
    this.#writeMark({ ...this.#mark, offset, lines, tailHash: hashOf(line.tail()), counts: { ...this.#counts } })
  }

  #writeMark(mark: Mark): void {
    if (this.#failure !== undefined) return
    const sequence = this.#sequence + 1
    try {
      writeAt(this.#file, encodeSlot({ sequence, mark }), placeOf(sequence))
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#sequence = sequence
    this.#mark = mark
    this.#needsSync = true
    this.#cancelSync ??= this.#deps.after(syncEveryMs, () => {
      this.#cancelSync = undefined
      this.#syncing = this.#sync()
    })
  }

  async #sync(): Promise<void> {
    if (!this.#needsSync) return
    this.#needsSync = false
    try {
      await this.#lock.assertHeld()
      await this.#syncedFirst?.sync()
      await this.#file.datasync()
    } catch (error) {
      this.#fail(error)
    }
  }

  /** The first failure counts. */
  #fail(error: unknown): void {
    this.#failure ??= asError(checkpointError(error, this.#path, 'write'))
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #otherInput(difference: string, isStream: boolean): FilesError {
    return new FilesError(`the checkpoint ${this.#path} belongs to another input: ${difference}`, {
      reason: 'other-input',
      details: { checkpoint: this.#path, offset: this.found.offset },
      hints: [
        isStream
          ? 'pipe in the same input again, from its first byte on; or write it to a file, and publish that with -f <file>'
          : 'name the file that the checkpoint was written for with -f',
        'to publish this input from its beginning, name another file with --checkpoint',
      ],
    })
  }
}

/** The slot to continue from; undefined if the file is new. */
async function readSlot(file: FileHandle, path: string): Promise<Slot | undefined> {
  const content = Buffer.alloc(fileBytes + 1)
  const { bytesRead } = await file.read(content, 0, content.length, 0)
  if (bytesRead > fileBytes) throw notACheckpoint(path, 'it is too large')
  const [first, second] = [0, slotDistanceBytes].map((place) => decodeSlot(content.subarray(place, place + slotBytes)))
  const latest =
    first !== undefined && second !== undefined && first.sequence < second.sequence ? second : (first ?? second)
  if (latest !== undefined) return latest
  // A process may have been killed, or the power may have failed, while the file was created.
  if (content.subarray(0, bytesRead).every((byte) => byte === 0)) return undefined
  throw notACheckpoint(path, 'neither of its slots is complete')
}

function newMark(target: Target, seed: string): Mark {
  const tailHash = hashOf(Buffer.alloc(0))
  return { offset: 0, lines: 0, tailHash, seed, target: hashOfTarget(target), isComplete: true, counts: noCounts }
}

async function createSlots(file: FileHandle, folder: string, mark: Mark): Promise<Slot> {
  const slot = { sequence: 0, mark }
  const content = Buffer.alloc(fileBytes, ' ')
  encodeSlot(slot).copy(content, placeOf(slot.sequence))
  content[slotDistanceBytes - 1] = 0x0a
  content[fileBytes - 1] = 0x0a
  // Whatever the umask.
  await file.chmod(0o600)
  writeAt(file, content, 0)
  await file.sync()
  await syncFolder(folder)
  return slot
}

/** Writes all of it: the system may take only a part, and report the reason at the next attempt. */
function writeAt({ fd }: FileHandle, bytes: Buffer, place: number): void {
  for (let written = 0; written < bytes.length;) {
    written += writeSync(fd, bytes, written, bytes.length - written, place + written)
  }
}

/** Makes the name of a new file survive a power failure, where the platform can open folders. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined)
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}

function placeOf(sequence: number): number {
  return (sequence % 2) * slotDistanceBytes
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function hashOfTarget({ source, gatewayHost }: Target): string {
  return hashOf(Buffer.from(JSON.stringify([source, gatewayHost]))).slice(0, 16)
}

function otherTarget(path: string, { source, gatewayHost }: Target): FilesError {
  return new FilesError(
    `the checkpoint ${path} was not written for the App "${source}" at ${gatewayHost}: its lines were published to another App or cluster`,
    {
      reason: 'other-target',
      details: { checkpoint: path, source, gatewayHost },
      hints: [
        'name the profile that the checkpoint was written with: --profile <profile>',
        'to publish this input to this App from its beginning, name another file with --checkpoint',
      ],
    },
  )
}

function notACheckpoint(path: string, problem: string): FilesError {
  return new FilesError(`${path} is not a checkpoint of kyconnect, or is damaged: ${problem}`, {
    reason: 'not-a-checkpoint',
    hints: ['name another file with --checkpoint'],
  })
}

function checkpointError(error: unknown, path: string, doing: string): unknown {
  return nameFileError(error, `${doing} the checkpoint ${path}`, '--checkpoint')
}
