import type * as X509 from '@peculiar/x509'

/** The X.509 library with its crypto provider set. Loading both is a third of a pairing's own time: only here, only when asked. */
export interface X509Library {
  readonly x509: typeof X509
  readonly crypto: Crypto
}

let loading: Promise<X509Library> | undefined

/** Loads the library once; ask early to have it ready when it is needed. */
export function loadX509(): Promise<X509Library> {
  loading ??= load()
  return loading
}

async function load(): Promise<X509Library> {
  // tsyringe, inside the library, throws at import without it.
  await import('reflect-metadata')
  const [x509, { Crypto: Provider }] = await Promise.all([import('@peculiar/x509'), import('@peculiar/webcrypto')])
  const crypto = new Provider()
  x509.cryptoProvider.set(crypto)
  return { x509, crypto }
}
