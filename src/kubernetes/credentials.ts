import { createPrivateKey, X509Certificate } from 'node:crypto'
import { ClusterAccessError, errorCodeOf, type KyconnectError } from '../errors.js'
import { parseJsonObject, valueOf } from '../json.js'
import type { ClientCertificate, Credentials } from './cluster.js'
import type { ExecCredential, ExecCluster } from './exec-credential.js'
import { type PluginDeps, runPlugin } from './exec-plugin.js'
import type { ExecConfig, Impersonation, UserEntry } from './kubeconfig-file.js'
import { fileProblem, readLocalFile } from './local-file.js'
import { shellWord } from '../shell-word.js'

export interface CredentialDeps extends PluginDeps {
  readonly now: () => Date
}

/** Whose credentials they are, for the messages. */
export interface CredentialOwner {
  readonly context: string
  readonly user: string
}

/**
 * The credentials of a user of a kubeconfig, as kubectl uses them: a token or a password takes precedence over a plugin, files are read
 * again for each request, and a plugin is run again when its credentials have expired.
 */
export function credentialSource(
  user: UserEntry,
  owner: CredentialOwner,
  cluster: ExecCluster,
  deps: CredentialDeps,
): () => Promise<Credentials> {
  const { exec } = user
  const plugin = exec === undefined ? undefined : cachedPlugin(exec, owner, cluster, deps)
  return async () => {
    const authorization = await staticAuthorization(user, owner, deps)
    const ofPlugin = authorization === undefined ? await plugin?.() : undefined
    const ofFile = await fileCertificate(user, owner, deps.signal)
    const clientCertificate = ofPlugin?.clientCertificate ?? ofFile
    if (clientCertificate !== undefined) checkPair(clientCertificate, owner)
    const header = authorization ?? (ofPlugin?.token === undefined ? undefined : `Bearer ${ofPlugin.token}`)
    return {
      headers: asHeaders(
        { ...(header === undefined ? {} : { authorization: header }), ...impersonation(user.impersonate) },
        owner,
      ),
      clientCertificate,
    }
  }
}

/** Values as Go sends them, which is the bytes of their UTF-8. @throws ClusterAccessError for a line break, which would end the header */
function asHeaders(
  headers: Readonly<Record<string, string | string[]>>,
  owner: CredentialOwner,
): Record<string, string | string[]> {
  const encode = (name: string, value: string): string => {
    if (/[\0-\x08\x0a-\x1f\x7f]/.test(value)) {
      throw failure(
        owner,
        `its ${name === 'authorization' ? 'token' : 'impersonation'} holds a line break or another control character`,
        'CONTROL_CHARACTER',
        'correct the kubeconfig, or the plugin that gave the token',
      )
    }
    return Buffer.from(value).toString('latin1')
  }
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map((one) => encode(name, one)) : encode(name, value),
    ]),
  )
}

function failure({ context, user }: CredentialOwner, problem: string, reason: string, hint: string): KyconnectError {
  return new ClusterAccessError(`the user "${user}" of the kubeconfig cannot be used: ${problem}`, {
    reason,
    details: { context, user },
    hints: [hint],
  })
}

async function staticAuthorization(
  user: UserEntry,
  owner: CredentialOwner,
  deps: CredentialDeps,
): Promise<string | undefined> {
  const token = await bearerToken(user, owner, deps.signal)
  if (token !== undefined) return `Bearer ${token}`
  if (user.username !== undefined || user.password !== undefined)
    return `Basic ${Buffer.from(`${user.username ?? ''}:${user.password ?? ''}`).toString('base64')}`
  return user.authProvider === undefined ? undefined : `Bearer ${idToken(user.authProvider.idToken, owner, deps.now())}`
}

/** The file takes precedence over the token beside it, which is used when the file cannot be read. */
async function bearerToken(
  { token, tokenFile }: UserEntry,
  owner: CredentialOwner,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (tokenFile === undefined) return token
  try {
    const read = (await readLocalFile(tokenFile, signal)).trim()
    if (read !== '') return read
  } catch (error) {
    signal.throwIfAborted()
    if (token === undefined) throw unreadable(owner, 'tokenFile', tokenFile, error)
  }
  if (token !== undefined) return token
  throw failure(owner, `its tokenFile ${tokenFile} is empty`, 'EMPTY_FILE', 'write a token into it, or log in again')
}

/**
 * The token of an OpenID Connect provider, as kubectl stored it. It is not refreshed here: providers replace the refresh token too, and
 * only kubectl writes the new one into the kubeconfig.
 */
function idToken(token: string | undefined, owner: CredentialOwner, now: Date): string {
  const refresh = `refresh it with: kubectl --context ${shellWord(owner.context)} get namespaces`
  if (token === undefined) throw failure(owner, 'it has no id-token', 'ID_TOKEN_MISSING', refresh)
  const payload = parseJsonObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
  const expiry: unknown = payload === undefined ? undefined : valueOf(payload, 'exp')
  if (typeof expiry === 'number' && expiry * 1000 <= now.getTime())
    throw failure(owner, 'its id-token has expired', 'TOKEN_EXPIRED', refresh)
  return token
}

async function fileCertificate(
  user: UserEntry,
  owner: CredentialOwner,
  signal: AbortSignal,
): Promise<ClientCertificate | undefined> {
  const chain = await pem(user.certificateData, user.certificateFile, 'client-certificate', owner, signal)
  const key = await pem(user.keyData, user.keyFile, 'client-key', owner, signal)
  return chain === undefined || key === undefined ? undefined : { chain, key }
}

async function pem(
  data: string | undefined,
  file: string | undefined,
  name: string,
  owner: CredentialOwner,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8')
  if (file === undefined) return undefined
  return readLocalFile(file, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    throw unreadable(owner, name, file, error)
  })
}

function unreadable(owner: CredentialOwner, name: string, file: string, error: unknown): KyconnectError {
  return failure(
    owner,
    `its ${name} ${file} cannot be read: ${fileProblem(error)}`,
    errorCodeOf(error),
    'check the path: a relative one is relative to the folder of the kubeconfig',
  )
}

function checkPair({ chain, key }: ClientCertificate, owner: CredentialOwner): void {
  const hint = `check them with: kubectl --context ${shellWord(owner.context)} get namespaces`
  let isPair: boolean
  try {
    isPair = new X509Certificate(chain).checkPrivateKey(createPrivateKey(key))
  } catch {
    throw failure(owner, 'its client certificate or key is not valid PEM', 'INVALID_PEM', hint)
  }
  if (!isPair) throw failure(owner, 'its client certificate and key do not match', 'KEY_MISMATCH', hint)
}

function impersonation({ user, uid, groups, extra }: Impersonation): Record<string, string | string[]> {
  return {
    ...(user === undefined ? {} : { 'impersonate-user': user }),
    ...(uid === undefined ? {} : { 'impersonate-uid': uid }),
    ...(groups.length === 0 ? {} : { 'impersonate-group': [...groups] }),
    ...Object.fromEntries(
      Object.entries(extra).map(([name, values]) => [
        `impersonate-extra-${encodeURIComponent(Buffer.from(name.toLowerCase()).toString())}`,
        [...values],
      ]),
    ),
  }
}

/** Runs the plugin once for all requests, until its credentials expire. */
function cachedPlugin(
  exec: ExecConfig,
  { context }: CredentialOwner,
  cluster: ExecCluster,
  deps: CredentialDeps,
): () => Promise<ExecCredential> {
  let running: Promise<ExecCredential> | undefined
  return async () => {
    const cached = await running
    if (cached?.expiresAt !== undefined && cached.expiresAt <= deps.now()) running = undefined
    running ??= runPlugin({ exec, cluster, context }, deps)
    return running
  }
}
