import { lstatSync, statSync } from 'node:fs'
import { chmod, mkdir, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { FilesError, hasErrorCode, HomeUnsafeError } from '../errors.js'
import { filesError, syncFolder } from './durable-files.js'
import { checkFolder } from './own-files.js'

/** What the default home depends on. */
export interface HomeLocation {
  readonly platform: NodeJS.Platform
  /** The user's home directory. */
  readonly userHome: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Where identities are kept by default: the platform's own convention. */
export function defaultHome({ platform, userHome, environment }: HomeLocation): string {
  switch (platform) {
    case 'darwin':
      return join(userHome, 'Library', 'Application Support', 'kyconnect')
    case 'win32':
      return join(absolute(environment['LOCALAPPDATA']) ?? join(userHome, 'AppData', 'Local'), 'kyconnect')
    default:
      return join(absolute(environment['XDG_DATA_HOME']) ?? join(userHome, '.local', 'share'), 'kyconnect')
  }
}

/** An empty or relative path counts as unset (XDG Base Directory Specification). */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined
}

/**
 * Checks the home, which may be a link. Its parents are not checked.
 * @param userId ours; undefined where the platform has no user ids
 * @returns whether it exists
 * @throws HomeUnsafeError when it belongs to another user or others may write to it; FilesError when it is not a folder
 */
export function checkOwnFolder(folder: string, userId: number | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    resolve(checkOwnFolderSync(folder, userId))
  })
}

function checkOwnFolderSync(folder: string, userId: number | undefined): boolean {
  let found
  try {
    found = statSync(folder)
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT') && !isLink(folder)) return false
    throw filesError(error, `read ${folder}`)
  }
  if (!found.isDirectory()) {
    throw new FilesError(`${folder} is not a folder`, { hints: ['name another place with KYCONNECT_HOME'] })
  }
  if (userId !== undefined && found.uid !== userId) {
    throw new HomeUnsafeError(`${folder} belongs to another user (uid ${found.uid}; this process runs as ${userId})`, {
      hints: ['name another place with KYCONNECT_HOME, or run as its owner'],
    })
  }
  checkFolder(folder, found, userId)
  return true
}

/** Creates a folder that only we can enter, whatever the umask, unless it exists; its name is on disk when this returns. */
export async function makeOwnFolder(folder: string, userId: number | undefined): Promise<void> {
  if (await checkOwnFolder(folder, userId)) return
  try {
    await makeWithParents(folder)
    await chmod(folder, 0o700)
    await checkOwnFolder(folder, userId)
  } catch (error) {
    throw filesError(error, `create ${folder}`)
  }
}

/** Creates a folder and its parents, and puts their names on disk. Node's own recursive mkdir does not return for a path in /proc. */
async function makeWithParents(folder: string): Promise<void> {
  const parent = dirname(folder)
  if (parent !== folder && !(await isThere(parent))) await makeWithParents(parent)
  await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
    // Another process may have created it in the meantime.
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

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
}
