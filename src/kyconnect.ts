import { createHash } from 'node:crypto'
import { readFile, readlink, symlink } from 'node:fs/promises'
import { join, resolve as absolute } from 'node:path'
import { type KyconnectError, NoIdentityError, ProfileAmbiguousError, ProfileExistsError } from './errors.js'
import type { CheckpointDeps } from './events/checkpoint.js'
import { after, eventConnection } from './events/event-connection.js'
import type { SenderDeps } from './events/event-sender.js'
import { calledUrls, type Gateway, IdentityGateway } from './gateway/gateway.js'
import { explainRefusal } from './gateway/refused-certificate.js'
import { FolderStore } from './identity/folder-store.js'
import { defaultHome } from './identity/home.js'
import type { Identity, Urls } from './identity/identity.js'
import { noIdentityIn } from './identity/no-identity.js'
import { findOccupant, type Occupant } from './identity/occupant.js'
import type { LockDeps } from './identity/lock.js'
import { completeRoute, readProxyUrl, type RouteChoice, type RouteEnvironment } from './identity/route.js'
import type { IdentityStore, Written } from './identity/store.js'
import { KubernetesApi } from './kubernetes/api.js'
import { ensureApplication } from './kubernetes/application.js'
import type { Cluster, ClusterChoice } from './kubernetes/cluster.js'
import { nodeAddress, readNodePort, type ServiceName } from './kubernetes/gateway-service.js'
import { hasCluster, openCluster } from './kubernetes/kubeconfig.js'
import { type IssuedToken, requestToken, type TokenSpec } from './kubernetes/token-request.js'
import { type EndpointsPolicy, learnEndpoints, storeEndpoints } from './pairing/endpoints.js'
import { resumeCommand } from './pairing/finish.js'
import { pair, type PairRequest } from './pairing/pair.js'
import type { PairDeps, PairPolicy } from './pairing/policy.js'
import { resumePairing } from './pairing/resume.js'
import { checkSavable, saveRoute } from './pairing/saved-route.js'
import { type Emit, warningsOnly } from './progress.js'
import { Keeper } from './renewal/keeper.js'
import { reportRenewals } from './renewal/renewal-report.js'
import { type Revocation, revokeIdentity } from './renewal/revoke.js'
import { rollBack } from './renewal/rollback.js'
import { type ApplyDeps, applyPlan, type PrepareDeps, type PreparedPlan, preparePlan } from './registry/apply.js'
import { RegistryClient } from './registry/client.js'
import { resolveSecret } from './registry/files/resolve-secret.js'
import type { Plan } from './registry/plan.js'
import type { Applied } from './registry/result.js'
import { renewAll, type RenewalResult, type RenewalRun, type RunResult } from './renewal/run.js'
import { Redactor, stripControl } from './redaction.js'
import type { Runtime } from './runtime.js'
import type { TransportDeps } from './transport/client.js'
import { parseNoProxy } from './transport/proxy.js'
import { usualRootFiles } from './transport/roots.js'
import { type Refusal, refusalError } from './transport/refusal.js'

/** The options of one run. */
export interface RunOptions {
  readonly choice: Omit<RouteChoice, 'environment'>
  readonly emit: Emit
  /** Takes the lines of --verbose. */
  readonly trace: ((line: string) => void) | undefined
}

/** How one run uses a cluster. */
export interface ClusterRun extends Pick<RunOptions, 'emit' | 'trace'> {
  /** From the flag; null for `none`. The proxy-url of a kubeconfig takes precedence over it. */
  readonly proxy: URL | null | undefined
  /** Milliseconds for an answer. */
  readonly timeoutMs: number
  /** Milliseconds within which a plugin of the kubeconfig must return credentials: a person may have to log in. */
  readonly pluginTimeoutMs: number
  /** Whether a plugin of the kubeconfig may ask its questions on standard input. */
  readonly isInteractive: boolean
}

/** Options that reach the services as stored, and report nothing. */
export const plainRun: RunOptions = {
  choice: {
    nodePort: undefined,
    resolve: undefined,
    serverCa: undefined,
    proxy: undefined,
    insecure: false,
    timeoutMs: 30_000,
  },
  emit: () => undefined,
  trace: undefined,
}

/** What a run needs to send events. */
export interface EventSending {
  readonly deps: Omit<SenderDeps, 'signal' | 'onPipeliningGivenUp'>
  /** Waits for a renewal that runs. Otherwise the end of the process could waste a certificate that was signed and not yet stored. */
  settle(): Promise<void>
}

/** The Application Registry of an App. */
export interface Registry {
  readonly client: RegistryClient
  /** Checks a plan, and reads the secrets that it needs. @throws as preparePlan */
  prepare(plan: Plan, options: Pick<PrepareDeps, 'replace'>): Promise<PreparedPlan>
  /** Carries out a plan. */
  apply(prepared: PreparedPlan, options: Pick<ApplyDeps, 'concurrency' | 'report'>): Promise<Applied>
  close(): Promise<void>
}

/** The composition root: commands, and programs that import kyconnect, use everything else through it. */
export class Kyconnect {
  readonly store: IdentityStore
  readonly #redactor = new Redactor()
  readonly #runtime: Runtime
  /** By the choice of cluster, as JSON. */
  readonly #clusters = new Map<string, Promise<Cluster>>()

  constructor(runtime: Runtime, store: IdentityStore) {
    this.#runtime = runtime
    this.store = store
  }

  /** Opens the store; asynchronous, because a store may need a connection first. */
  static async open(runtime: Runtime): Promise<Kyconnect> {
    return new Kyconnect(runtime, await openStore(runtime))
  }

  /** Text that may be shown: one-time tokens and control characters removed. */
  showable(text: string): string {
    return stripControl(this.#redactor.redact(text))
  }

  /** A JSON document that may be shown: every string in it redacted, then serialised, so that no text can change the JSON. */
  redactJson(value: unknown): string {
    return JSON.stringify(this.#redactor.redactJson(value))
  }

  /**
   * The profile to use: the named one, else the only one stored.
   * @throws NoIdentityError, ProfileAmbiguousError
   */
  async selectProfile(named: string | undefined): Promise<string> {
    if (named !== undefined) return named
    const [only, ...others] = (await this.store.summaries()).map(({ profile }) => profile)
    if (only === undefined) throw noIdentityIn(this.store.place)
    if (others.length === 0) return only
    throw ambiguous([only, ...others], 'identities are stored')
  }

  /** The stored identity of a profile. What a crash left behind is repaired first. */
  async identity(named: string | undefined): Promise<Identity> {
    const profile = await this.selectProfile(named)
    await this.store.mend(profile)
    return this.store.load(profile)
  }

  /** From a one-time token URL to a stored identity. */
  async pair(request: PairRequest, policy: PairPolicy, run: RunOptions): Promise<Identity> {
    const tokenUrl = async (): Promise<URL> => {
      const url = await request.tokenUrl()
      this.#redactor.learnUrl(url)
      return url
    }
    return pair({ ...request, tokenUrl }, policy, this.#pairDeps(run))
  }

  /** Continues a pending pairing: of the named profile, else the only one. @param as the profile to store the identity under */
  async resume(
    named: string | undefined,
    as: string | undefined,
    policy: PairPolicy,
    run: RunOptions,
  ): Promise<Identity> {
    const pending = named === undefined ? await this.store.listPending() : [named]
    const [only, ...others] = pending
    if (only === undefined) {
      throw new NoIdentityError('no pairing is pending', {
        hints: ['ask the administrator for a token URL, then run: kyconnect pair --url -'],
      })
    }
    if (others.length > 0) throw ambiguous(pending, 'pairings are pending')
    return resumePairing(only, as, policy, this.#pairDeps(run))
  }

  /** Renews identities, one after the other. @param onResult called after each */
  renew(renewal: RenewalRun, run: RunOptions, onResult: (result: RenewalResult) => void): Promise<RunResult> {
    return renewAll(renewal, this.#pairDeps(run), onResult)
  }

  /**
   * Revokes the certificate of an identity: it works until it expires, and cannot be renewed.
   * @throws CertificateExpiredError before any request, LockHeldError, and what the transport throws: an answer that is lost may mean that it
   *   is revoked, so call it again
   */
  revoke(identity: Identity, run: RunOptions): Promise<Revocation> {
    return revokeIdentity(identity, this.#pairDeps(run))
  }

  /**
   * Restores the identity that the last renewal or pairing replaced.
   * @param anyway even if its certificate has expired or been revoked
   * @throws NoIdentityError, CertificateExpiredError, CertificateRevokedError
   */
  async rollback(named: string | undefined, anyway = false): Promise<Written<Identity>> {
    const profile = await this.selectProfile(named)
    return rollBack({ profile, anyway }, { store: this.store, now: this.#runtime.now })
  }

  /** Stores a copy of an identity, read from a folder, under a profile. */
  async import(folder: string, named: string | undefined, replace: boolean): Promise<Written<Identity>> {
    await this.store.ready()
    const copy = await this.store.loadCopy(absolute(folder), named ?? 'imported')
    const profile = named ?? copy.metadata.app
    return this.store.locked(profile, async (change) => {
      if (!replace) await this.#checkFree(profile)
      return change.commit({ ...copy.metadata, profile }, copy.material)
    })
  }

  /** What there is to remove under a profile; an identity may be unusable. @throws NoIdentityError, IdentityUnusableError */
  async findRemovable(profile: string): Promise<Occupant> {
    const occupant = await findOccupant(profile, this.store)
    if (occupant === undefined) await this.store.load(profile)
    return occupant ?? 'identity'
  }

  /**
   * Removes what `findRemovable` found. An identity that a pairing has stored since then stays where only the pending pairing is to be
   * removed. Returns the names of files in an identity's folder that kyconnect did not write, and left there.
   */
  remove(profile: string, what: Occupant): Promise<readonly string[]> {
    return this.store.locked(profile, async (change) => {
      if (what === 'identity') return change.remove()
      await change.discard()
      return []
    })
  }

  /**
   * Renames a profile, and with it the identity that `rollback` restores and a pending pairing. Returns the same as `remove`.
   * @throws ProfileExistsError
   */
  async rename(from: string, to: string): Promise<readonly string[]> {
    return this.store.locked(from, async (source) => {
      const identity = await this.store.load(from)
      if (from === to) throw taken(to)
      const previous = await source.previous()
      const pending = await this.store.pending(from)
      await this.store.locked(to, async (target) => {
        await this.#checkFree(to)
        let problem: KyconnectError | undefined
        for (const { metadata, material } of previous === undefined ? [identity] : [previous, identity])
          problem = (await target.commit({ ...metadata, profile: to }, material)).problem ?? problem
        // The copy may not survive a power failure, so the original stays.
        if (problem !== undefined) throw problem.addHint(`the identity is stored under both "${from}" and "${to}"`)
        if (pending !== undefined) await target.begin({ ...pending, profile: to })
      })
      // Both profiles are complete now, so a crash here loses nothing.
      return source.remove()
    })
  }

  /** A commit would delete a pending pairing, and with it a key whose token may still be valid. @throws ProfileExistsError */
  async #checkFree(profile: string): Promise<void> {
    const occupant = await findOccupant(profile, this.store)
    if (occupant === undefined) return
    if (occupant === 'identity') throw taken(profile)
    throw new ProfileExistsError(`a pairing is pending under the profile "${profile}"`, {
      hints: [
        `continue it: ${resumeCommand(profile)}`,
        `or choose another name, or delete it: kyconnect remove ${profile}`,
      ],
      details: { profile },
    })
  }

  /** Whether a cluster is configured on this machine, by a kubeconfig or the service account of a pod. */
  hasCluster(choice: ClusterChoice): Promise<boolean> {
    return hasCluster(choice, this.#runtime)
  }

  /**
   * Opens a cluster; close it after use. A cluster that was opened before keeps its credentials, so that a plugin runs only once.
   * @throws UsageError when the kubeconfig cannot be used as it is
   */
  async openCluster(choice: ClusterChoice, run: ClusterRun): Promise<KubernetesApi> {
    const key = JSON.stringify(choice)
    const opening =
      this.#clusters.get(key) ?? openCluster(choice, { ...this.#runtime, ...run, redactor: this.#redactor })
    this.#clusters.set(key, opening)
    const { proxy, noProxy, rootFiles, systemRootFiles } = routeEnvironment(this.#runtime)
    return new KubernetesApi(await opening, {
      ...run,
      proxy: { url: run.proxy === undefined ? (proxy ?? null) : run.proxy, except: noProxy },
      rootFiles,
      systemRootFiles,
      redactor: this.#redactor,
      monotonic: this.#runtime.monotonic,
      sleep,
    })
  }

  /** Makes sure that an App exists in a cluster, or warns. */
  ensureApplication(api: KubernetesApi, spec: TokenSpec, create: boolean, emit: Emit): Promise<void> {
    const { signal } = this.#runtime
    return ensureApplication(api, spec, create, { signal, emit })
  }

  /** Requests a one-time token URL from a cluster. Clean up with the returned `discard`. */
  requestToken(api: KubernetesApi, spec: TokenSpec, emit: Emit): Promise<IssuedToken> {
    const { now, monotonic, randomHex, signal } = this.#runtime
    return requestToken(api, spec, { now, monotonic, randomHex, sleep, signal, emit })
  }

  /** Reads the NodePort of a cluster's gateway. */
  nodePort(api: KubernetesApi, service: ServiceName): Promise<number> {
    return readNodePort(api, service, this.#runtime.signal)
  }

  /** Reads the address of a cluster's node, if the cluster reports one. */
  nodeAddress(api: KubernetesApi): Promise<string | undefined> {
    return nodeAddress(api, this.#runtime.signal)
  }

  /**
   * Asks the gateway for the App's URLs, and stores new ones.
   * @param save store this run's NodePort, resolve rules, CA and proxy as well, now that the gateway has answered to them
   */
  async info(identity: Identity, policy: EndpointsPolicy, run: RunOptions, save = false): Promise<Identity> {
    if (save) checkSavable(run.choice)
    const gateway = this.#gateway(identity, run)
    try {
      const { metadata: learned } = await learnEndpoints(identity.metadata, gateway, policy, run.emit)
      if (save) {
        const metadata = await saveRoute(this.store, identity, learned, this.#choice(run), run.emit)
        return { ...identity, metadata }
      }
      await storeEndpoints(this.store, identity, learned, run.choice.insecure, run.emit)
      return { ...identity, metadata: learned }
    } catch (error) {
      throw gateway.explain(error)
    } finally {
      await gateway.close()
    }
  }

  /** Opens the gateway of an identity; close it after use. */
  openGateway(identity: Identity, run: RunOptions = plainRun): Gateway {
    return this.#gateway(identity, run)
  }

  /**
   * How events of an identity are sent. Each new connection has the certificate as it is then, so that a stream of events outlives a
   * renewal. A certificate that is due is renewed while events are sent.
   */
  eventSender(identity: Identity, run: RunOptions): EventSending {
    const { emit } = run
    // The steps of a renewal would interrupt the progress of the stream: its result is reported instead.
    const deps = this.#pairDeps({ ...run, emit: warningsOnly(emit) })
    const keeper = new Keeper(identity, deps, reportRenewals(identity.metadata, emit))
    return {
      deps: {
        ...eventConnection(keeper, deps.choice),
        monotonic: this.#runtime.monotonic,
        random: () => parseInt(this.#runtime.randomHex(4), 16) / 2 ** 32,
        trace: run.trace,
      },
      settle: () => keeper.settle(),
    }
  }

  /** What a checkpoint of events needs of the process. */
  checkpointDeps(): CheckpointDeps {
    return {
      ...lockDeps(this.#runtime),
      onNextTurn: (work) => {
        setImmediate(work)
      },
      after,
    }
  }

  /** Opens the Application Registry of an identity; close it after use. */
  openRegistry(identity: Identity, run: RunOptions): Registry {
    const { environment, signal } = this.#runtime
    const gateway = this.#gateway(identity, run)
    const client = new RegistryClient(gateway, this.#redactor)
    return {
      client,
      prepare: (plan, options) =>
        preparePlan(plan, {
          ...options,
          redactor: this.#redactor,
          resolveSecret: (reference) => resolveSecret(reference, environment),
        }),
      apply: (prepared, options) =>
        applyPlan(prepared, {
          ...options,
          client,
          sleep: (milliseconds) => sleep(milliseconds, signal),
        }),
      close: () => gateway.close(),
    }
  }

  /** The error for an unsuccessful answer. @param what names the request in the message */
  refusal(answer: Refusal, what: string, { metadata }: Identity): unknown {
    return explainRefusal(refusalError(answer, what), metadata, this.#runtime.now())
  }

  /** The NodePort and the URLs that this run calls. */
  called(identity: Identity, run: RunOptions): { nodePort: number | null; calledUrls: Urls } {
    // The environment has no part in how a URL looks, and may be unusable where nothing is called.
    const choice = { ...run.choice, environment: noEnvironment }
    return {
      nodePort: completeRoute(choice, identity.metadata.route).nodePort,
      calledUrls: calledUrls(identity, choice),
    }
  }

  #gateway(identity: Identity, run: RunOptions): IdentityGateway {
    return new IdentityGateway(identity, this.#choice(run), this.#transport(run), this.#runtime.now)
  }

  #pairDeps(run: RunOptions): PairDeps {
    return flowDeps(this.#runtime, this.store, this.#redactor, run)
  }

  #choice(run: RunOptions): RouteChoice {
    return choiceOf(this.#runtime, run)
  }

  #transport(run: RunOptions): TransportDeps {
    return transportDeps(this.#runtime, this.#redactor, run)
  }
}

/** What a flow needs that changes an identity. */
export function flowDeps(runtime: Runtime, store: IdentityStore, redactor: Redactor, run: RunOptions): PairDeps {
  return {
    store,
    choice: choiceOf(runtime, run),
    transport: transportDeps(runtime, redactor, run),
    emit: run.emit,
    now: runtime.now,
  }
}

function choiceOf(runtime: Runtime, { choice }: RunOptions): RouteChoice {
  return { ...choice, environment: routeEnvironment(runtime) }
}

function transportDeps({ signal, monotonic }: Runtime, redactor: Redactor, { trace }: RunOptions): TransportDeps {
  return { redactor, trace, signal, now: monotonic, sleep }
}

const noEnvironment: RouteEnvironment = { proxy: undefined, noProxy: [], rootFiles: [], systemRootFiles: [] }

/** Opens the store on this machine. @param folder the home; by default the one that the environment names */
export function openStore(runtime: Runtime, folder?: string): Promise<IdentityStore> {
  const named = runtime.environment['KYCONNECT_HOME'] ?? ''
  const home = folder ?? named
  return Promise.resolve(
    new FolderStore({
      home: home === '' ? defaultHome(runtime) : absolute(home),
      homeVariable: folder === undefined && named !== '' ? 'KYCONNECT_HOME' : undefined,
      userId: runtime.userId,
      ...lockDeps(runtime),
      // fs/promises is loaded only for a change.
      makeLink: (target, path) => symlink(target, path),
    }),
  )
}

/** What a lock needs of the process. */
function lockDeps(runtime: Runtime): LockDeps {
  return {
    pid: runtime.pid,
    hostname: runtime.hostname,
    processIdentity: (pid) => processIdentity(pid, runtime),
    pidNamespace: readPidNamespace,
    now: runtime.now,
    randomHex: runtime.randomHex,
    sleep: (milliseconds) => sleep(milliseconds, runtime.signal),
  }
}

/** Reads HTTPS_PROXY and NO_PROXY, the lower-case names first as curl does, and the files of trusted roots. */
function routeEnvironment({ environment, platform }: Runtime): RouteEnvironment {
  const first = (...names: string[]): string =>
    names.map((name) => environment[name] ?? '').find((text) => text !== '') ?? ''
  const environmentProxy = first('https_proxy', 'HTTPS_PROXY')
  return {
    // An unusable one is an error: without it, the connection would bypass the proxy without a word.
    proxy: environmentProxy === '' ? undefined : readProxyUrl(environmentProxy, 'HTTPS_PROXY'),
    noProxy: parseNoProxy(first('no_proxy', 'NO_PROXY')),
    rootFiles: [first('NODE_EXTRA_CA_CERTS'), first('SSL_CERT_FILE')].filter((file) => file !== ''),
    systemRootFiles: platform === 'win32' ? [] : usualRootFiles,
  }
}

function taken(profile: string): ProfileExistsError {
  return new ProfileExistsError(`an identity is already stored under the profile "${profile}"`, {
    hints: ['choose another name, or remove the stored identity: kyconnect remove <profile>'],
    details: { profile },
  })
}

function ambiguous(names: readonly string[], what: string): ProfileAmbiguousError {
  return new ProfileAmbiguousError(`several ${what}: ${names.join(', ')}`, {
    hints: [`name one: --profile ${names[0] ?? '<name>'}, or KYCONNECT_PROFILE`],
    details: { profiles: names },
  })
}

/** Ends early, with the signal's reason, when the signal is aborted. */
function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, milliseconds)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
}

/** The scope in which a pid identifies one process: on Linux a pid namespace and a boot, because the first namespace of every machine has the same name. */
async function readPidNamespace(): Promise<string> {
  const [namespace, boot] = await Promise.all([
    readlink('/proc/self/ns/pid').catch(() => ''),
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => ''),
  ])
  return `${namespace} ${boot}`.trim()
}

/** Identifies a process: on Linux by its boot and start time, elsewhere only as running; undefined when it is not running. */
async function processIdentity(pid: number, { platform, isAlive }: Runtime): Promise<string | undefined> {
  if (platform === 'linux') {
    try {
      const [stat, boot] = await Promise.all([
        readFile(join('/proc', String(pid), 'stat'), 'utf8'),
        readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => ''),
      ])
      // The second field, the program's name, may contain blanks and brackets. The state follows it; the start time is field 22.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const [state, started = ''] = [fields[0], fields[19]]
      if (state === 'Z') return undefined
      return createHash('sha256').update(`${boot}${started}`).digest('hex').slice(0, 16)
    } catch {
      return undefined
    }
  }
  return isAlive(pid) ? 'alive' : undefined
}
