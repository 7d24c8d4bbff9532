import { createHash, type KeyObject } from 'node:crypto'
import { readFile, readlink, symlink } from 'node:fs/promises'
import { join, resolve as absolute } from 'node:path'
import { NoIdentityError, ProfileAmbiguousError } from './errors.js'
import {
  calledUrls,
  callEndpoint,
  type CallableEndpoint,
  endpointUrl,
  explainRefusal,
} from './identity/endpoint-call.js'
import { FolderStore } from './identity/folder-store.js'
import { defaultHome } from './identity/home.js'
import type { Identity, Urls } from './identity/identity.js'
import { completeRoute, type RouteChoice } from './identity/route.js'
import type { IdentityStore } from './identity/store.js'
import { KubernetesApi } from './kubernetes/api.js'
import { ensureApplication } from './kubernetes/application.js'
import type { Cluster, ClusterChoice } from './kubernetes/cluster.js'
import { nodeAddress, readNodePort, type ServiceName } from './kubernetes/gateway-service.js'
import { hasCluster, openCluster } from './kubernetes/kubeconfig.js'
import { type IssuedToken, requestToken, type TokenSpec } from './kubernetes/token-request.js'
import { refreshEndpoints } from './pairing/endpoints.js'
import { pair, type PairPolicy, type PairRequest, resumePairing } from './pairing/pair.js'
import type { Emit } from './progress.js'
import type { Request, StreamedAnswer, TransportDeps } from './transport/client.js'
import { type Refusal, refusalError } from './transport/refusal.js'
import { Redactor, stripControl } from './redaction.js'
import type { Runtime } from './runtime.js'

/** What one run wants. */
export interface RunOptions {
  readonly choice: Omit<RouteChoice, 'rootFiles'>
  readonly emit: Emit
  /** Takes the lines of --verbose. */
  readonly trace: ((line: string) => void) | undefined
}

/** How one run uses a cluster. */
export interface ClusterRun extends Pick<RunOptions, 'emit' | 'trace'> {
  /** Milliseconds for an answer. */
  readonly timeoutMs: number
  /** Milliseconds for a plugin of the kubeconfig to give credentials: a person may have to log in. */
  readonly pluginTimeoutMs: number
  /** Whether a plugin of the kubeconfig may ask its questions on standard input. */
  readonly isInteractive: boolean
}

/** The parts put together: the one way from a command, or from another program, into the house. */
export class Kyconnect {
  readonly store: IdentityStore
  readonly #redactor = new Redactor()
  readonly #runtime: Runtime
  /** By choice. */
  readonly #clusters = new Map<string, Promise<Cluster>>()

  constructor(runtime: Runtime) {
    this.#runtime = runtime
    const { environment } = runtime
    const home = environment['KYCONNECT_HOME']
    this.store = new FolderStore({
      home: home === undefined || home === '' ? defaultHome(runtime) : absolute(home),
      userId: runtime.userId,
      pid: runtime.pid,
      hostname: runtime.hostname,
      processIdentity: (pid) => processIdentity(pid, runtime),
      pidNamespace: () => readlink('/proc/self/ns/pid').catch(() => ''),
      now: runtime.now,
      randomHex: runtime.randomHex,
      sleep: (milliseconds) => sleep(milliseconds, runtime.signal),
      makeLink: symlink,
    })
  }

  /** Text as it may be shown: one-time tokens and control characters taken out. */
  showable(text: string): string {
    return stripControl(this.#redactor.redact(text))
  }

  /** A JSON document that may be shown: every string in it redacted, then serialised, so that no text can change the JSON. */
  redactJson(value: unknown): string {
    return JSON.stringify(this.#redactor.redactJson(value))
  }

  /**
   * The profile to use: the one named, else the only one stored.
   * @throws NoIdentityError, ProfileAmbiguousError
   */
  async selectProfile(named: string | undefined): Promise<string> {
    if (named !== undefined) return named
    const [only, ...others] = await this.store.list()
    if (only === undefined) {
      throw new NoIdentityError('no identity is stored on this machine', {
        hints: [
          'get a token URL from the administrator of the cluster, then: kyconnect pair --url -   (to try without a cluster: kyconnect sandbox)',
        ],
      })
    }
    if (others.length === 0) return only
    throw ambiguous([only, ...others], 'identities are stored')
  }

  /** @param begunKey an RSA 2048 key in the making: it takes longer than all the rest, so a caller may begin it before anything else */
  async pair(
    request: PairRequest,
    policy: PairPolicy,
    run: RunOptions,
    begunKey?: Promise<KeyObject>,
  ): Promise<Identity> {
    const tokenUrl = async (): Promise<URL> => {
      const url = await request.tokenUrl()
      this.#redactor.learnUrl(url)
      return url
    }
    return pair({ ...request, tokenUrl }, policy, this.#pairDeps(run, begunKey))
  }

  /** Takes up a pending pairing: of the profile named, else the only pending one. */
  async resume(named: string | undefined, policy: PairPolicy, run: RunOptions): Promise<Identity> {
    const pending = named === undefined ? await this.store.listPending() : [named]
    const [only, ...others] = pending
    if (only === undefined) {
      throw new NoIdentityError('no pairing is pending', {
        hints: ['ask the administrator for a token URL, then: kyconnect pair --url -'],
      })
    }
    if (others.length > 0) throw ambiguous(pending, 'pairings are pending')
    return resumePairing(only, policy, this.#pairDeps(run, undefined))
  }

  /** Puts the identity back that the last replacement took the place of. */
  async rollback(named: string | undefined): Promise<Identity> {
    const profile = await this.selectProfile(named)
    const lock = await this.store.lock(profile)
    try {
      return await this.store.rollback(profile)
    } finally {
      await lock.release()
    }
  }

  /** Whether this machine knows a cluster: by a kubeconfig, or by the service account of a pod. */
  hasCluster(choice: ClusterChoice): Promise<boolean> {
    return hasCluster(choice, this.#runtime)
  }

  /**
   * Opens a cluster. One that was opened before keeps its credentials: a plugin of the kubeconfig runs once.
   * @throws UsageError when the kubeconfig cannot be used as it is
   */
  async openCluster(choice: ClusterChoice, run: ClusterRun): Promise<KubernetesApi> {
    const key = JSON.stringify(choice)
    const opening =
      this.#clusters.get(key) ?? openCluster(choice, { ...this.#runtime, ...run, redactor: this.#redactor })
    this.#clusters.set(key, opening)
    return new KubernetesApi(await opening, { ...run, redactor: this.#redactor })
  }

  /** Sees to it that an App exists in a cluster, or warns. */
  ensureApplication(api: KubernetesApi, spec: TokenSpec, create: boolean, emit: Emit): Promise<void> {
    const { signal } = this.#runtime
    return ensureApplication(api, spec, create, { signal, emit })
  }

  /** A one-time token URL out of a cluster. Tidy up with the returned `discard`. */
  requestToken(api: KubernetesApi, spec: TokenSpec, emit: Emit): Promise<IssuedToken> {
    const { now, monotonic, randomHex, signal } = this.#runtime
    return requestToken(api, spec, { now, monotonic, randomHex, sleep, signal, emit })
  }

  /** The NodePort of a cluster's gateway. */
  nodePort(api: KubernetesApi, service: ServiceName): Promise<number> {
    return readNodePort(api, service, this.#runtime.signal)
  }

  /** The address of a cluster's node, if it tells. */
  nodeAddress(api: KubernetesApi): Promise<string | undefined> {
    return nodeAddress(api, this.#runtime.signal)
  }

  /** Asks the gateway for the App's URLs, and stores new ones. */
  async info(
    named: string | undefined,
    acceptHosts: (hosts: readonly string[]) => Promise<boolean>,
    run: RunOptions,
  ): Promise<Identity> {
    const identity = await this.store.load(await this.selectProfile(named))
    const choice = this.#choice(run)
    const policy = { acceptHosts, store: !choice.insecure }
    return refreshEndpoints(this.store, identity, choice, policy, this.#transport(run), run.emit).catch(
      (error: unknown) => {
        throw this.#explain(error, identity)
      },
    )
  }

  /** An authenticated request to one of the App's endpoints. End it with the returned `close`. */
  async call(
    identity: Identity,
    endpoint: CallableEndpoint,
    path: string,
    request: Omit<Request, 'url'>,
    run: RunOptions,
  ): Promise<{ answer: StreamedAnswer; close: () => Promise<void> }> {
    const url = endpointUrl(identity, endpoint, path)
    return callEndpoint(identity, this.#choice(run), this.#transport(run), { ...request, url }).catch(
      (error: unknown) => {
        throw this.#explain(error, identity)
      },
    )
  }

  /** What an answer that is no success means. `what` names what was asked for. */
  refusal(answer: Refusal, what: string, identity: Identity): unknown {
    return this.#explain(refusalError(answer, what), identity)
  }

  #explain(error: unknown, identity: Identity): unknown {
    return explainRefusal(error, identity, this.#runtime.now())
  }

  /** The identity of a profile, as it is stored. */
  async identity(named: string | undefined): Promise<Identity> {
    return this.store.load(await this.selectProfile(named))
  }

  /** NodePort and URLs as this run calls them. */
  called(identity: Identity, run: RunOptions): { nodePort: number | null; calledUrls: Urls } {
    const choice = this.#choice(run)
    return {
      nodePort: completeRoute(choice, identity.metadata.route).nodePort,
      calledUrls: calledUrls(identity, choice),
    }
  }

  #pairDeps(run: RunOptions, begunKey: Promise<KeyObject> | undefined): Parameters<typeof pair>[2] {
    return {
      store: this.store,
      choice: this.#choice(run),
      transport: this.#transport(run),
      emit: run.emit,
      now: this.#runtime.now,
      begunKey,
    }
  }

  #choice({ choice }: RunOptions): RouteChoice {
    const { environment } = this.#runtime
    const rootFiles = [environment['NODE_EXTRA_CA_CERTS'] ?? '', environment['SSL_CERT_FILE'] ?? '']
    return { ...choice, rootFiles: rootFiles.filter((file) => file !== '') }
  }

  #transport({ trace }: RunOptions): TransportDeps {
    const { signal, monotonic } = this.#runtime
    return { redactor: this.#redactor, trace, signal, now: monotonic, sleep }
  }
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

/** On Linux the boot and the start time of a process, elsewhere only whether it lives; undefined when it does not. */
async function processIdentity(pid: number, { platform, isAlive }: Runtime): Promise<string | undefined> {
  if (platform === 'linux') {
    try {
      const [stat, boot] = await Promise.all([
        readFile(join('/proc', String(pid), 'stat'), 'utf8'),
        readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => ''),
      ])
      // The second field, the program's name, may hold blanks and brackets; after it come the state and, 22nd in all, the start time.
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
