import type { KeyObject } from 'node:crypto'
import { type CsrInfo, fetchCsrInfo } from '../connector/csr-info.js'
import { requestSigning } from '../connector/signing.js'
import {
  AnswerMalformedError,
  AppMismatchError,
  CertificateUnverifiedError,
  ConfirmationNeededError,
  FilesError,
  KyconnectError,
  NoIdentityError,
  ProfileExistsError,
  TokenRejectedError,
} from '../errors.js'
import type { Identity, Metadata, Pending, StoredRoute } from '../identity/identity.js'
import { checkProfileName, toProfileName } from '../identity/profile-name.js'
import { completeRoute, connectorRoute, nothingStored, type RouteChoice } from '../identity/route.js'
import type { IdentityStore, Lock } from '../identity/store.js'
import { fingerprint, subjectLine, verifyChain } from '../pki/chain.js'
import { createCsr } from '../pki/csr.js'
import { commonName, formatRfc4514 } from '../pki/distinguished-name.js'
import { keyToPem } from '../pki/key.js'
import { toPem } from '../pki/pem.js'
import { loadX509 } from '../pki/x509.js'
import type { Emit } from '../progress.js'
import { HttpClient, type TransportDeps } from '../transport/client.js'
import { learnEndpoints } from './endpoints.js'
import { type KeyChoice, takeKey } from './key-choice.js'

/** What is asked of a pairing. */
export interface PairRequest {
  /** ApiRequest for once everything is checked and locked that can be before a token exists. */
  readonly tokenUrl: () => Promise<URL>
  /** The App expected; checked before a CSR is sent. */
  readonly app: string | undefined
  /** Default: the App. */
  readonly profile: string | undefined
  readonly key: KeyChoice
}

/** What a pairing may do to what is there. */
export interface PairPolicy {
  /** Whether an existing identity may be replaced. */
  readonly replace: boolean
  /** ApiRequest when the new identity is of another domain than the one it replaces. */
  readonly otherDomain: (from: string, to: string) => Promise<boolean>
  readonly acceptHosts: (hosts: readonly string[]) => Promise<boolean>
  /** Whether the management info is called at the end. */
  readonly verify: boolean
}

export interface PairDeps {
  readonly store: IdentityStore
  readonly choice: RouteChoice
  readonly transport: TransportDeps
  readonly emit: Emit
  readonly now: () => Date
  /** An RSA 2048 key in the making, begun before anything else. */
  readonly begunKey: Promise<KeyObject> | undefined
}

/**
 * From a token URL to a stored identity: CSR information, key, CSR, signing, verified chain, commit, endpoints. What can be
 * refused without using up the token is refused before it is.
 * @throws every error of the exit-code table; once the identity is stored, an error says so
 */
export async function pair(request: PairRequest, policy: PairPolicy, deps: PairDeps): Promise<Identity> {
  const { store, emit, choice } = deps
  await store.ready()
  const named = request.profile ?? request.app
  let lock = named === undefined ? undefined : await reserve(named, policy, deps)
  let http: HttpClient | undefined
  try {
    const tokenUrl = await request.tokenUrl()
    const stored = named === undefined ? nothingStored : await routeOfReplaced(named, tokenUrl, policy, deps)
    http = new HttpClient(connectorRoute(choice, stored), deps.transport)
    emit({ type: 'started', step: 'csr-info' })
    const asking = fetchCsrInfo(http, tokenUrl)
    // Signing code loads while the service answers, and while the key is being made.
    setImmediate(() => void loadX509().catch(() => undefined))
    const info = await asking
    emit({ type: 'finished', step: 'csr-info', subject: info.subjectText })
    const cn = checkApp(info, request.app, emit)

    emit({ type: 'started', step: 'private-key' })
    const key = await takeKey(request.key, info.keyAlgorithm, deps.begunKey, emit)
    emit({
      type: 'finished',
      step: 'private-key',
      source: request.key.kind === 'given' ? 'given' : 'generated',
      bits: key.asymmetricKeyDetails?.modulusLength,
    })

    const pending = (profile: string): Pending => ({
      profile,
      csrUrl: info.csrUrl,
      subject: info.subject,
      app: request.app ?? cn,
      commonName: cn,
      gatewayHost: info.gatewayHost,
      connectorHost: tokenUrl.hostname,
      urls: Object.fromEntries(Object.entries(info.urls)),
      route: completeRoute(choice, stored),
      insecure: choice.insecure,
      createdAt: deps.now(),
      key,
    })
    const profile = named ?? cn
    lock ??= await reserveLate(profile, policy, deps, pending)
    await store.begin(pending(profile))
    await checkReplaced(pending(profile), policy, deps)
    return await finish(pending(profile), false, policy, deps, http)
  } finally {
    await http?.close()
    await lock?.release()
  }
}

/** Takes up a pairing whose CSR was not answered with a 201. @throws as pair, and NoIdentityError when nothing is pending */
export async function resumePairing(profile: string, policy: PairPolicy, deps: PairDeps): Promise<Identity> {
  const { store, choice } = deps
  checkProfileName(profile)
  const lock = await store.lock(profile)
  try {
    const pending = await store.pending(profile)
    if (pending === undefined) {
      throw new NoIdentityError(`no pairing is pending under the profile "${profile}"`, {
        hints: ['ask the administrator for a token URL, then: kyconnect pair --url -'],
      })
    }
    deps.transport.redactor.learnUrl(pending.csrUrl)
    await checkReplace(profile, policy, deps)
    await checkReplaced(pending, policy, deps)
    const route = completeRoute(choice, pending.route)
    const http = new HttpClient(connectorRoute(choice, pending.route), deps.transport)
    try {
      const resumed = { ...pending, route, insecure: pending.insecure || choice.insecure }
      return await finish(resumed, true, policy, deps, http)
    } finally {
      await http.close()
    }
  } finally {
    await lock.release()
  }
}

/** From a pending pairing, on disk, to the stored identity. `sentBefore`: its CSR may have been sent by an earlier run. */
async function finish(
  pending: Pending,
  sentBefore: boolean,
  policy: PairPolicy,
  deps: PairDeps,
  http: HttpClient,
): Promise<Identity> {
  const { store, emit } = deps
  emit({ type: 'started', step: 'certificate' })
  const signed = await sign(pending, sentBefore, deps, http)
  const replaced = await store.has(pending.profile)
  const identity = await store.commit(...signed).catch((error: unknown) => {
    throw error instanceof FilesError
      ? error.addHint(
          'the certificate is lost, and the token is spent: make room, then pair again with a new token URL',
        )
      : error
  })
  const { metadata } = identity
  emit({ type: 'finished', step: 'certificate', notAfter: metadata.notAfter, directory: identity.directory })
  if (replaced) emit({ type: 'notice', notice: 'identity-replaced', profile: metadata.profile })
  warnOfDates(metadata, deps)
  if (!policy.verify) return identity

  emit({ type: 'started', step: 'management-info' })
  try {
    const learned = await learnEndpoints(identity, deps.choice, { ...policy, store: true }, deps.transport, emit)
    const complete = await store.update(identity, learned)
    emit({ type: 'finished', step: 'management-info', urlCount: Object.keys(learned.urls).length })
    return complete
  } catch (error) {
    throw error instanceof KyconnectError
      ? error.addHint(
          `the identity is stored in ${identity.directory}, and "kyconnect info --profile ${metadata.profile}" completes it`,
        )
      : error
  }
}

/** CSR, signing, verification. A pending pairing whose token is spent is forgotten; any other is kept, and the error says how to go on. */
async function sign(
  pending: Pending,
  sentBefore: boolean,
  deps: PairDeps,
  http: HttpClient,
): Promise<[Metadata, Identity['material']]> {
  const { store } = deps
  const token = { spent: false }
  try {
    const csr = await createCsr(pending.subject, pending.key)
    const certificates = await requestSigning(http, pending.csrUrl, csr, sentBefore, () => (token.spent = true))
    const { leaf, intermediates, roots } = await verifyChain(certificates, pending.key, pending.subject)
    const pem = (certificate: typeof leaf): string => toPem('CERTIFICATE', certificate.raw)
    const { profile, app, commonName: cn, gatewayHost, connectorHost, urls, route, insecure } = pending
    return [
      {
        profile,
        app,
        commonName: cn,
        subject: subjectLine(leaf),
        fingerprint: fingerprint(leaf),
        notBefore: new Date(leaf.validFrom),
        notAfter: new Date(leaf.validTo),
        gatewayHost,
        acceptedHosts: [],
        connectorHost,
        urls,
        route,
        insecure,
        pairedAt: deps.now(),
      },
      {
        key: keyToPem(pending.key),
        leaf: pem(leaf),
        chain: [leaf, ...intermediates].map(pem).join(''),
        ca: roots.map(pem).join(''),
      },
    ]
  } catch (error) {
    if (token.spent || error instanceof TokenRejectedError) {
      await store.discard(pending.profile)
      if (error instanceof CertificateUnverifiedError || error instanceof AnswerMalformedError) {
        error.addHint(
          'nothing of it was stored; the token is spent: tell the administrator, and ask for a new token URL',
        )
      }
    } else if (error instanceof KyconnectError) {
      error.addHint(`the pairing waits for 5 minutes: ${resumeHint(pending.profile)}`)
    }
    throw error
  }
}

/**
 * How the identity to be replaced was reached: the new one of the same cluster is reached likewise.
 * @throws ConfirmationNeededError when the token URL is of another domain
 */
async function routeOfReplaced(
  profile: string,
  tokenUrl: URL,
  policy: PairPolicy,
  deps: PairDeps,
): Promise<StoredRoute> {
  const present = policy.replace ? await presentIdentity(profile, deps) : undefined
  if (present === undefined) return nothingStored
  await checkDomain(present, tokenUrl.hostname, 'connectorHost', policy, undefined)
  return present.metadata.connectorHost === tokenUrl.hostname ? present.metadata.route : nothingStored
}

/** Checks and locks a profile whose name is known before the token is used. */
async function reserve(profile: string, policy: PairPolicy, deps: PairDeps): Promise<Lock> {
  checkProfileName(profile)
  const lock = await deps.store.lock(profile)
  try {
    await checkReplace(profile, policy, deps)
    return lock
  } catch (error) {
    await lock.release()
    throw error
  }
}

/**
 * The same for a name that only the CSR information told: the token is used up, so what is pending is kept, under a name that
 * is free, and the error says how to go on with it.
 */
async function reserveLate(
  profile: string,
  policy: PairPolicy,
  deps: PairDeps,
  pending: (profile: string) => Pending,
): Promise<Lock> {
  try {
    return await reserve(profile, policy, deps)
  } catch (error) {
    if (!(error instanceof KyconnectError)) throw error
    const free = await freeName(toProfileName(profile), deps.store)
    const lock = await deps.store.lock(free)
    try {
      await deps.store.begin(pending(free))
    } finally {
      await lock.release()
    }
    throw error.replaceHints(
      `the token is used, and the pairing waits for 5 minutes: store it under another name with ${resumeHint(free)}`,
    )
  }
}

function resumeHint(profile: string, more = ''): string {
  return `kyconnect pair --resume --profile ${profile}${more === '' ? '' : ` ${more}`}`
}

async function freeName(wish: string, store: IdentityStore): Promise<string> {
  const taken = new Set([...(await store.list()), ...(await store.listPending())])
  for (let number = 1; ; number++) {
    const name = number === 1 ? wish : `${wish}-${number}`
    if (!taken.has(name)) return name
  }
}

async function checkReplace(profile: string, policy: PairPolicy, { store }: PairDeps): Promise<void> {
  if (policy.replace || !(await store.has(profile))) return
  throw new ProfileExistsError(`an identity is already stored under the profile "${profile}"`, {
    hints: [
      'store the new one beside it with --profile <other-name>, or replace it with --force (it can be put back with "kyconnect pair --rollback")',
    ],
    details: { profile },
  })
}

/** What is known of the new identity before its CSR is sent, against the one it would replace. @throws ConfirmationNeededError */
async function checkReplaced(pending: Pending, policy: PairPolicy, deps: PairDeps): Promise<void> {
  const { profile, gatewayHost, app, commonName: cn } = pending
  const present = policy.replace ? await presentIdentity(profile, deps) : undefined
  if (present === undefined) return
  await checkDomain(present, gatewayHost, 'gatewayHost', policy, resumeHint(profile, '--force --yes'))
  if (present.metadata.commonName !== cn) {
    deps.emit({ type: 'warning', warning: 'other-app-replaced', profile, from: present.metadata.app, to: app })
  }
}

/** The identity that is there, if it can be read: one that cannot is what --force is for. */
async function presentIdentity(profile: string, { store }: PairDeps): Promise<Identity | undefined> {
  if (!(await store.has(profile))) return undefined
  return store.load(profile).catch((error: unknown) => {
    if (error instanceof KyconnectError) return undefined
    throw error
  })
}

async function checkDomain(
  present: Identity,
  host: string,
  kind: 'connectorHost' | 'gatewayHost',
  policy: PairPolicy,
  hint: string | undefined,
): Promise<void> {
  const { profile, [kind]: stored } = present.metadata
  if (stored === host || (await policy.otherDomain(stored, host))) return
  throw new ConfirmationNeededError(
    `the identity "${profile}" is of ${stored}, the new one would be of ${host}: another domain`,
    { hints: [`if that is meant, say so with --yes${hint === undefined ? '' : `: ${hint}`}`] },
  )
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** @returns the common name @throws AppMismatchError */
function checkApp(info: CsrInfo, app: string | undefined, emit: Emit): string {
  const cn = commonName(info.subject)
  if (cn === undefined || cn === '') {
    throw new AnswerMalformedError(
      `the CSR information offers a subject without a common name: ${formatRfc4514(info.subject)}`,
    )
  }
  if (app === undefined || app === cn) return cn
  if (uuid.test(cn)) {
    emit({ type: 'warning', warning: 'app-unverifiable', app, commonName: cn })
    return cn
  }
  throw new AppMismatchError(`the token URL is for the App "${cn}", not for "${app}": no CSR was sent`, {
    hints: [`the token is spent`, `ask for a token URL for "${app}", or pair without --app`],
    details: { expected: app, offered: cn },
  })
}

function warnOfDates({ notBefore, notAfter }: Metadata, { emit, now }: PairDeps): void {
  const at = now()
  if (notBefore > at) emit({ type: 'warning', warning: 'not-yet-valid-by-our-clock', notBefore })
  if (notAfter < at) emit({ type: 'warning', warning: 'expired-by-our-clock', notAfter })
}
