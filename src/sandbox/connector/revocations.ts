import { createHash } from 'node:crypto'
import { parseStringArray, type State } from '../state.js'

const FILE = 'revocations.json'

/**
 * Hashes of revoked certificates: SHA-256 of the DER, lower-case hex. They are compared as given, so a hash in another spelling revokes
 * nothing (docs/contract.md §2).
 */
export interface Revocations {
  add(hash: string): void
  has(hash: string): boolean
}

export function openRevocations(state: State): Revocations {
  const hashes = new Set(state.read(FILE, parseStringArray))
  return {
    add(hash) {
      if (hashes.has(hash)) return
      state.write(FILE, JSON.stringify([...hashes, hash]))
      hashes.add(hash)
    },
    has: (hash) => hashes.has(hash),
  }
}

export function certificateHash(der: Buffer): string {
  return createHash('sha256').update(der).digest('hex')
}
