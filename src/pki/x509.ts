import type * as Peculiar from './peculiar.js'

export type X509Library = typeof Peculiar

let loading: Promise<X509Library> | undefined

/** Loads the X.509 library once. Call it early, to have the library ready when it is needed: loading takes the largest part of a pairing's own time. */
export function loadX509(): Promise<X509Library> {
  loading ??= import('./peculiar.js')
  return loading
}
