import { chmod, lstat, mkdir, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { FilesError, hasErrorCode, HomeUnsafeError } from '../errors.js'
import { filesError, syncFolder } from './durable-files.js'

/** What the place of the identities depends on. */
export interface Runtime {
  readonly platform: NodeJS.Platform
  /** The user's home directory. */
  readonly userHome: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Where identities are kept when nothing else is said: the platform's own convention. */
export function defaultHome({ platform, userHome, environment }: Runtime): string {
  switch (platform) {
    case 'darwin':
      return join(userHome, 'Library', 'Application Support', 'kyconnect')
    case 'win32':
      return join(absolute(environment['LOCALAPPDATA']) ?? join(userHome, 'AppData', 'Local'), 'kyconnect')
    default:
      return join(absolute(environment['XDG_DATA_HOME']) ?? join(userHome, '.local', 'share'), 'kyconnect')
  }
}

/** An empty or relative path is as good as none (XDG Base Directory Specification). */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined
}

/**
 * Refuses a folder that is not ours or that others can write to: they could put their own key and certificate there. Its
 * parents are not judged. One that does not exist is fine.
 * @param userId ours; undefined where the platform has none
 * @returns whether it exists
 */
export async function checkOwnFolder(folder: string, userId: number | undefined): Promise<boolean> {
  let found
  try {
    found = await stat(folder)
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT') && !(await isLink(folder))) return false
    throw filesError(error, `read ${folder}`)
  }
  if (!found.isDirectory()) {
    throw new FilesError(`${folder} is not a folder`, { hints: ['name another place with KYCONNECT_HOME'] })
  }
  if (userId === undefined) return true
  if (found.uid !== userId) {
    throw new HomeUnsafeError(`${folder} belongs to another user (uid ${found.uid}, we are ${userId})`, {
      hints: [
        'keys are kept only where nobody else can change them: name another place with KYCONNECT_HOME, or run as its owner',
      ],
    })
  }
  if ((found.mode & 0o022) !== 0) {
    throw new HomeUnsafeError(`${folder} can be written by others (mode ${(found.mode & 0o777).toString(8)})`, {
      hints: [`take that right away: chmod go-w ${JSON.stringify(folder)}`],
    })
  }
  return true
}

/** Makes a folder that only we can enter, whatever the umask, unless it is there. */
export async function makeOwnFolder(folder: string, userId: number | undefined): Promise<void> {
  if (await checkOwnFolder(folder, userId)) return
  try {
    await makeWithParents(folder)
    await chmod(folder, 0o700)
    await checkOwnFolder(folder, userId)
  } catch (error) {
    throw filesError(error, `make ${folder}`)
  }
}

/** Makes a folder and those above it, and puts their names on disk. Node's own recursive mkdir never ends in /proc. */
async function makeWithParents(folder: string): Promise<void> {
  const parent = dirname(folder)
  if (parent !== folder && !(await isThere(parent))) await makeWithParents(parent)
  await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
    // Another process may have made it in the meantime.
    if (!hasErrorCode(error, 'EEXIST')) throw error
  })
  await syncFolder(parent)
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

async function isLink(path: string): Promise<boolean> {
  return lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  )
}
