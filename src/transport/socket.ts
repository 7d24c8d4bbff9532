import type { Socket } from 'node:net'

/**
 * Waits until a socket is usable.
 * @param event `connect`, or `secureConnect` for TLS
 * @throws what the socket reports, or the signal's reason; the socket is destroyed then
 */
export function whenUsable(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      signal.removeEventListener('abort', abort)
      socket.removeListener('error', fail)
    }
    const abort = (): void => {
      settle()
      socket.on('error', () => undefined).destroy()
      reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
    }
    const fail = (error: Error): void => {
      settle()
      reject(error)
    }
    signal.addEventListener('abort', abort, { once: true })
    socket.once('error', fail)
    socket.once(event, () => {
      settle()
      resolve()
    })
    if (signal.aborted) abort()
  })
}
