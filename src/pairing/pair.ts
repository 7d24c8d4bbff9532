import { type CsrInfo, fetchCsrInfo } from '../connector/csr-info.js'
import { AnswerMalformedError, AppMismatchError, KyconnectError } from '../errors.js'
import type { Identity, Pending, StoredRoute } from '../identity/identity.js'
import { findOccupant } from '../identity/occupant.js'
import { checkProfileName, toProfileName } from '../identity/profile-name.js'
import { completeRoute, connectorRoute, nothingStored } from '../identity/route.js'
import type { IdentityStore, ProfileChange } from '../identity/store.js'
import { commonName, formatRfc4514 } from '../pki/distinguished-name.js'
import { loadX509 } from '../pki/x509.js'
import type { Emit } from '../progress.js'
import { HttpClient } from '../transport/client.js'
import { finishPairing, resumeCommand } from './finish.js'
import type { KeySource } from './key-source.js'
import type { PairDeps, PairPolicy } from './policy.js'
import { checkProfileFree, checkReplaced, routeOfReplaced } from './replacement.js'

/** What to pair, and with which key. */
export interface PairRequest {
  /** Called after everything that can be checked and locked without a token has been. */
  readonly tokenUrl: () => Promise<URL>
  /** The expected App; checked before a CSR is sent. */
  readonly app: string | undefined
  /** Default: the App. */
  readonly profile: string | undefined
  readonly key: KeySource
}

/**
 * Turns a token URL into a stored identity: CSR information, key, CSR, signing, verified chain, commit, endpoints. Everything that can be
 * refused without consuming the token is refused first.
 * @throws every error of the exit-code table; once the identity is stored, an error says so
 */
export async function pair(request: PairRequest, policy: PairPolicy, deps: PairDeps): Promise<Identity> {
  const { store } = deps
  await store.ready()
  const named = request.profile ?? request.app
  if (named !== undefined) {
    checkProfileName(named)
    return store.locked(named, async (change) => {
      await checkProfileFree(named, policy, store)
      const tokenUrl = await request.tokenUrl()
      const stored = await routeOfReplaced(named, tokenUrl, policy, deps)
      return withConnector(stored, deps, async (http) => {
        const prepared = await prepare(request, tokenUrl, stored, deps, http)
        return storePending(named, prepared, policy, deps, http, change)
      })
    })
  }
  const tokenUrl = await request.tokenUrl()
  return withConnector(nothingStored, deps, async (http) => {
    const prepared = await prepare(request, tokenUrl, nothingStored, deps, http)
    const profile = prepared.commonName
    const reserved = { done: false }
    try {
      return await store.locked(checkProfileName(profile), async (change) => {
        await checkProfileFree(profile, policy, store)
        reserved.done = true
        return storePending(profile, prepared, policy, deps, http, change)
      })
    } catch (error) {
      if (reserved.done || !(error instanceof KyconnectError)) throw error
      throw await keepForLater(error, prepared, store)
    }
  })
}

type Prepared = Omit<Pending, 'profile'>

async function withConnector<T>(
  stored: StoredRoute,
  { choice, transport }: PairDeps,
  work: (http: HttpClient) => Promise<T>,
): Promise<T> {
  const http = new HttpClient(connectorRoute(choice, stored), transport)
  try {
    return await work(http)
  } finally {
    await http.close()
  }
}

/** Gets the CSR information and the key: everything that a CSR needs. Asking for the CSR information consumes the token in the URL. */
async function prepare(
  request: PairRequest,
  tokenUrl: URL,
  stored: StoredRoute,
  { choice, emit, now }: PairDeps,
  http: HttpClient,
): Promise<Prepared> {
  emit({ type: 'started', step: 'csr-info' })
  const asking = fetchCsrInfo(http, tokenUrl)
  // The signing code loads while the service answers and the key is generated.
  void loadX509().catch(() => undefined)
  const info = await asking
  emit({ type: 'finished', step: 'csr-info', subject: info.subjectText })
  const cn = checkApp(info, request.app, emit)

  emit({ type: 'started', step: 'private-key' })
  const key = await request.key.take(info.keyAlgorithm, emit)
  const bits = key.asymmetricKeyDetails?.modulusLength
  emit({ type: 'finished', step: 'private-key', source: request.key.kind, bits })
  return {
    csrUrl: info.csrUrl,
    subject: info.subject,
    app: request.app ?? cn,
    commonName: cn,
    gatewayHost: info.gatewayHost,
    connectorHost: tokenUrl.hostname,
    urls: Object.fromEntries(Object.entries(info.urls)),
    route: completeRoute(choice, stored),
    insecure: choice.insecure,
    createdAt: now(),
    key,
  }
}

/** Puts the pending pairing on disk before its CSR is sent, then has it signed. */
async function storePending(
  profile: string,
  prepared: Prepared,
  policy: PairPolicy,
  deps: PairDeps,
  http: HttpClient,
  change: ProfileChange,
): Promise<Identity> {
  const pending = { ...prepared, profile }
  await change.begin(pending)
  await checkReplaced(pending, policy, deps, resumeCommand(profile))
  return finishPairing({ pending, sentBefore: false, pendingChange: change, change }, policy, deps, http)
}

/**
 * Keeps a pairing under a free name when its profile turns out to be taken, because the token is already consumed. The error says how to
 * continue.
 */
async function keepForLater(error: KyconnectError, prepared: Prepared, store: IdentityStore): Promise<KyconnectError> {
  const taken = prepared.commonName
  const free = await beginUnderFreeName(toProfileName(taken), prepared, store)
  return error.replaceHints(
    `store the new identity under another name, within 5 minutes: ${resumeCommand(free)}`,
    ...(toProfileName(taken) === taken
      ? [`or replace the stored identity: ${resumeCommand(free)} --as ${taken} --force`]
      : []),
  )
}

async function beginUnderFreeName(base: string, prepared: Prepared, store: IdentityStore): Promise<string> {
  for (let number = 1; ; number++) {
    const profile = number === 1 ? base : `${base}-${number}`
    if ((await findOccupant(profile, store)) !== undefined) continue
    const hasBegun = await store.locked(profile, async (change) => {
      // Another process may have taken the name since: its pending pairing must not be replaced.
      if ((await findOccupant(profile, store)) !== undefined) return false
      await change.begin({ ...prepared, profile })
      return true
    })
    if (hasBegun) return profile
  }
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** @returns the common name @throws AppMismatchError */
function checkApp(info: CsrInfo, app: string | undefined, emit: Emit): string {
  const cn = commonName(info.subject)
  if (cn === undefined || cn === '') {
    throw new AnswerMalformedError(
      `the subject in the CSR information has no common name: ${formatRfc4514(info.subject).slice(0, 300)}`,
    )
  }
  if (app === undefined || app === cn) return cn
  if (uuid.test(cn)) {
    emit({ type: 'warning', warning: 'app-unverifiable', app, commonName: cn })
    return cn
  }
  throw new AppMismatchError(`the token URL is for the App "${cn}", not for "${app}": no CSR was sent`, {
    hints: [`ask for a token URL for "${app}", or for another one to use without --app: the token is consumed`],
    details: { expected: app, offered: cn },
  })
}
