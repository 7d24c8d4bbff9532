import { isIP } from 'node:net'
import { UsageError } from '../../../errors.js'
import type { ListenAddress } from '../../../renewal/monitoring.js'
import { parsePort } from '../../route-choice.js'

/** Reads `9464`, `:9464` (this machine only), `0.0.0.0:9464` or `[::1]:9464`. @throws UsageError */
export function parseListenAddress(text: string): ListenAddress {
  const colon = text.lastIndexOf(':')
  const [given, port] = [text.slice(0, Math.max(0, colon)), text.slice(colon + 1)]
  const isBracketed = given.startsWith('[') && given.endsWith(']')
  const address = given === '' || given === 'localhost' ? '127.0.0.1' : isBracketed ? given.slice(1, -1) : given
  if (isIP(address) !== (isBracketed ? 6 : 4)) {
    throw new UsageError(`--listen takes <address:port>, not ${JSON.stringify(text.slice(0, 60))}`, {
      hints: ['write it like 9464, 0.0.0.0:9464 or [::1]:9464'],
    })
  }
  return { address, port: port === '0' ? 0 : parsePort(port, '--listen', '<address:port>, with 0 (any free one) or ') }
}
