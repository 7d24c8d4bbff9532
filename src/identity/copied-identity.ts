import { X509Certificate } from 'node:crypto'
import { lstat, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { FilesError, hasErrorCode, HomeUnsafeError, IdentityUnusableError } from '../errors.js'
import { fingerprint, subjectLine } from '../pki/chain.js'
import { shellWord } from '../shell-word.js'
import { filesError, onFiles } from './durable-files.js'
import { identityFiles } from './identity-codec.js'
import type { Identity, Metadata } from './identity.js'
import { checkFolder, readOwnFile } from './own-files.js'
import { parsePointer } from './pointer.js'
import { exists } from './profile-folder.js'
import { readIdentityFolder } from './versions.js'

/** Says which folder `import` takes, in a hint. */
const wanted = 'name the folder that holds identity.json, key.pem and client.crt, or the folder of a profile'

/**
 * Reads an identity from a folder outside the home: a copy of `current` or of a version, or of a whole profile, whose pointer then says
 * which version counts. Either may be given as a link, which `current` itself is.
 * @throws FilesError when there is no such folder; IdentityUnusableError when it holds no identity; HomeUnsafeError
 */
export async function readCopiedIdentity(
  folder: string,
  profile: string,
  userId: number | undefined,
): Promise<Pick<Identity, 'metadata' | 'material'>> {
  await checkGivenFolder(folder, userId)
  const place = await findIdentityFolder(folder, userId)
  if (place !== folder) await checkGivenFolder(place, userId)
  await refuseLinks(place, folder)
  const { metadata, material } = await readIdentityFolder(place, { profile, userId })
  return { metadata: asCertified(metadata, material.leaf, place), material }
}

async function checkGivenFolder(folder: string, userId: number | undefined): Promise<void> {
  const found = await stat(folder).catch(async (error: unknown) => {
    if (!hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw filesError(error, `read ${folder}`)
    const isLink = await lstat(folder).then(
      (link) => link.isSymbolicLink(),
      () => false,
    )
    throw new FilesError(isLink ? `${folder} is a symbolic link that leads nowhere` : `${folder} does not exist`, {
      hints: [isLink ? `correct it, or ${wanted}` : `check the path, and ${wanted}`],
    })
  })
  if (!found.isDirectory()) {
    const isPart = identityFiles.some((name) => name === basename(folder))
    throw new FilesError(`${folder} is not a folder`, {
      hints: [
        isPart
          ? `name the folder that it is in: kyconnect import ${shellWord(dirname(folder))}`
          : `unpack it if it is an archive, and ${wanted}`,
      ],
    })
  }
  if (userId !== undefined && found.uid !== userId && found.uid !== 0) {
    throw new HomeUnsafeError(`${folder} belongs to another user (uid ${found.uid}; this process runs as ${userId})`, {
      hints: [`copy it, and import the copy: cp -RL ${shellWord(folder)} <copy>`],
    })
  }
  checkFolder(folder, found, userId)
}

/** The folder with the files themselves. */
async function findIdentityFolder(folder: string, userId: number | undefined): Promise<string> {
  if (await exists(join(folder, 'identity.json'))) return folder
  const pointerFile = join(folder, 'pointer.json')
  const pointer = await onFiles(`read ${pointerFile}`, () => readOwnFile(pointerFile, userId))
  if (pointer !== undefined) return join(folder, 'versions', parsePointer(pointer, pointerFile).current)
  const current = join(folder, 'current')
  if (await exists(join(current, 'identity.json'))) return current
  throw new IdentityUnusableError(`${folder} holds no identity: identity.json is missing`, {
    hints: await findBelow(folder),
  })
}

const maxShown = 10

/** The hint for a folder of profiles, such as the home, or of versions: the folders in it that hold an identity. */
async function findBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((): string[] => [])
  const found: string[] = []
  for (const name of names.sort()) {
    const isIdentity = await Promise.all(
      ['identity.json', 'pointer.json'].map((file) => exists(join(folder, name, file))),
    )
    if (isIdentity.includes(true)) found.push(name)
  }
  if (found.length === 0) return [wanted]
  return found
    .slice(0, maxShown)
    .map((name) => `name the identity in it: kyconnect import ${shellWord(join(folder, name))}`)
}

/** A file of an identity is never a link, so that a store reads nothing elsewhere. A mounted Secret consists of links, which cp resolves. */
async function refuseLinks(place: string, folder: string): Promise<void> {
  for (const name of identityFiles) {
    const path = join(place, name)
    const isLink = await lstat(path).then(
      (found) => found.isSymbolicLink(),
      () => false,
    )
    if (!isLink) continue
    throw new HomeUnsafeError(`${path} is a symbolic link, not a file`, {
      hints: [`copy the files that the links lead to, and import the copy: cp -RL ${shellWord(folder)} <copy>`],
    })
  }
}

/** The metadata of a copy with what its certificate says: identity.json may be of another certificate, or edited. @throws IdentityUnusableError */
function asCertified(metadata: Metadata, pem: string, place: string): Metadata {
  const leaf = new X509Certificate(pem)
  const [notBefore, notAfter] = [new Date(leaf.validFrom), new Date(leaf.validTo)]
  if (Number.isNaN(notBefore.getTime()) || Number.isNaN(notAfter.getTime()))
    throw new IdentityUnusableError(`the identity in ${place} cannot be used: the dates of client.crt are invalid`)
  // Of several, the last: it is the one that the service compares (docs/contract.md §5).
  const named: unknown = [leaf.toLegacyObject().subject.CN].flat().at(-1)
  const commonName = typeof named === 'string' ? named : metadata.commonName
  return {
    ...metadata,
    app: metadata.app === metadata.commonName ? commonName : metadata.app,
    commonName,
    subject: subjectLine(leaf),
    fingerprint: fingerprint(leaf),
    notBefore,
    notAfter,
  }
}
