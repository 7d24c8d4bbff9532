import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root, run } from '../kyconnect.js'

/** What goes wrong: one call with EIO, every call that can need space from one on with ENOSPC, or SIGKILL before one. */
export type FaultKind = 'EIO' | 'ENOSPC' | 'KILL'

/** One call on the file system, as the library logged it. */
export interface Call {
  readonly number: number
  /** create, open, read, write, fsync, close, rename, link, symlink, unlink, mkdir or rmdir. */
  readonly name: string
  readonly path: string
  /** Where to, of a rename or link. */
  readonly to: string | undefined
  readonly failed: boolean
}

/** Builds the library that comes before libc in a process under test. @returns its path */
export async function buildFaultLibrary(folder: string): Promise<string> {
  const library = join(folder, 'faults.so')
  const source = join(root, 'test', 'support', 'faults', 'faults.c')
  const { code, stderr } = await run('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl', '-lpthread'])
  if (code !== 0) throw new Error(`the test needs a C compiler (apt-get install gcc libc6-dev): ${stderr}`)
  return library
}

/** The environment of a process whose calls below a folder are counted, in an order that is the same each time. */
export function faultEnvironment(
  library: string,
  folder: string,
  more: { readonly at?: { readonly call: number; readonly kind: FaultKind }; readonly log?: string },
): Record<string, string> {
  return {
    LD_PRELOAD: library,
    FAULTS_FOLDER: folder,
    // One thread for files, and no way round libc.
    UV_THREADPOOL_SIZE: '1',
    UV_USE_IO_URING: '0',
    ...(more.at === undefined ? {} : { FAULTS_AT: `${more.at.call}:${more.at.kind}` }),
    ...(more.log === undefined ? {} : { FAULTS_LOG: more.log }),
  }
}

/** The calls that were logged, in order. */
export async function readCalls(log: string): Promise<Call[]> {
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n')
  const parsed = lines.map((line) => line.split(' '))
  const failed = new Set(parsed.filter(([, name]) => name === 'failed').map(([number]) => number))
  return parsed
    .filter(([, name]) => name !== 'failed')
    .map(([number, name = '', path = '', to]) => ({
      number: Number(number),
      name,
      path,
      to,
      failed: failed.has(number),
    }))
}
