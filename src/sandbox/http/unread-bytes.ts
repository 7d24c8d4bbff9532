import type { Socket } from 'node:net'

/** Answers that a connection may have in the making at once. Their size is not known yet. */
const MAX_UNFINISHED = 8

interface Connection {
  unreadBytes: number
  unfinished: number
  waiting: (() => void)[]
}

/** What the connections owe: answers that were sent and not read yet, over all of a connection's requests. */
const connections = new WeakMap<Socket, Connection>()

/** The right to make one answer. */
export interface AnswerSlot {
  /** Counts the answer's bytes as unread, instead of the answer as unfinished. Gives the function that counts them as read. */
  sent(bytes: number): () => void
  /** Ends an answer whose bytes are not counted. */
  release(): void
}

/** Waits until a connection has at most so many unread bytes, and few unfinished answers. */
export async function waitForSlot(socket: Socket, maxUnreadBytes: number): Promise<AnswerSlot> {
  const connection = connections.get(socket) ?? { unreadBytes: 0, unfinished: 0, waiting: [] }
  connections.set(socket, connection)
  const hasRoom = (): boolean => connection.unreadBytes <= maxUnreadBytes && connection.unfinished < MAX_UNFINISHED
  // The next answer is counted before it is woken, so that no other request takes its slot in between.
  const resume = (): void => {
    while (hasRoom()) {
      const wake = connection.waiting.shift()
      if (wake === undefined) return
      connection.unfinished++
      wake()
    }
  }
  if (hasRoom()) connection.unfinished++
  else await new Promise<void>((resolve) => connection.waiting.push(resolve))
  const release = once(() => {
    connection.unfinished--
    resume()
  })
  return {
    release,
    sent(bytes) {
      connection.unreadBytes += bytes
      release()
      return once(() => {
        connection.unreadBytes -= bytes
        resume()
      })
    },
  }
}

function once(act: () => void): () => void {
  let isDone = false
  return () => {
    if (!isDone) act()
    isDone = true
  }
}
