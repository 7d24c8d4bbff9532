import { dirname, resolve, sep } from 'node:path'
import { errorCodeOf, UsageError } from '../errors.js'
import { valueOf } from '../json.js'
import { fileProblem, readLocalFile } from './local-file.js'

/** The content of one or several kubeconfig files. Paths are absolute. */
export interface Kubeconfig {
  readonly clusters: ReadonlyMap<string, ClusterEntry>
  readonly users: ReadonlyMap<string, UserEntry>
  readonly contexts: ReadonlyMap<string, ContextEntry>
  readonly currentContext: string | undefined
}

export interface ClusterEntry {
  readonly server: string | undefined
  readonly caFile: string | undefined
  /** Base64 of PEM. */
  readonly caData: string | undefined
  readonly insecure: boolean
  readonly serverName: string | undefined
  readonly proxyUrl: string | undefined
  /** For exec plugins: the extension `client.authentication.k8s.io/exec`. */
  readonly execConfig: unknown
}

export interface UserEntry {
  readonly token: string | undefined
  readonly tokenFile: string | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  readonly certificateFile: string | undefined
  /** Base64 of PEM. */
  readonly certificateData: string | undefined
  readonly keyFile: string | undefined
  /** Base64 of PEM. */
  readonly keyData: string | undefined
  readonly exec: ExecConfig | undefined
  readonly authProvider: { readonly name: string | undefined; readonly idToken: string | undefined } | undefined
  readonly impersonate: Impersonation
}

/** No credentials: requests are anonymous. */
export const anonymous: UserEntry = {
  token: undefined,
  tokenFile: undefined,
  username: undefined,
  password: undefined,
  certificateFile: undefined,
  certificateData: undefined,
  keyFile: undefined,
  keyData: undefined,
  exec: undefined,
  authProvider: undefined,
  impersonate: { user: undefined, uid: undefined, groups: [], extra: {} },
}

export interface Impersonation {
  readonly user: string | undefined
  readonly uid: string | undefined
  readonly groups: readonly string[]
  readonly extra: Readonly<Record<string, readonly string[]>>
}

/** A program that returns credentials. */
export interface ExecConfig {
  /** An absolute path, or a name to look up in PATH. */
  readonly command: string | undefined
  /** As the kubeconfig spells it. */
  readonly shownCommand: string
  readonly args: readonly string[]
  readonly env: readonly { readonly name: string; readonly value: string }[]
  readonly apiVersion: string | undefined
  readonly installHint: string | undefined
  readonly provideClusterInfo: boolean
  readonly interactiveMode: string | undefined
}

export interface ContextEntry {
  readonly cluster: string | undefined
  readonly user: string | undefined
  readonly namespace: string | undefined
}

const execExtension = 'client.authentication.k8s.io/exec'

/**
 * Reads one kubeconfig. A relative path in it is relative to its folder, as for kubectl, and so is a plugin's command with a slash.
 * @throws UsageError, which never quotes the file: it holds credentials
 */
export async function readKubeconfig(file: string, signal: AbortSignal): Promise<Kubeconfig> {
  const text = await readLocalFile(file, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    throw unreadable(file, fileProblem(error), errorCodeOf(error))
  })
  const { parseYaml } = await import('./yaml.js')
  let document: unknown
  try {
    document = parseYaml(text)
  } catch {
    throw unreadable(file, 'it is not valid YAML')
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw unreadable(file, text.trim() === '' ? 'it is empty' : 'it is not a YAML mapping')
  return new FileReader(file).read(document)
}

function unreadable(file: string, problem: string, reason?: string): UsageError {
  return new UsageError(`the kubeconfig ${JSON.stringify(file)} cannot be read: ${problem}`, {
    ...(reason === undefined || reason === '' ? {} : { reason }),
    hints: ['check it with: kubectl config view', 'name another with --kubeconfig <file> or KUBECONFIG'],
  })
}

/** Reads the parts of one file; a member of the wrong type is an error, as for kubectl. */
class FileReader {
  readonly #file: string
  readonly #folder: string

  constructor(file: string) {
    this.#file = file
    this.#folder = dirname(file)
  }

  read(document: object): Kubeconfig {
    return {
      clusters: this.#named(document, 'clusters', 'cluster', (entry, at) => this.#cluster(entry, at)),
      users: this.#named(document, 'users', 'user', (entry, at) => this.#user(entry, at)),
      contexts: this.#named(document, 'contexts', 'context', (entry, at) => ({
        cluster: this.#text(entry, 'cluster', at),
        user: this.#text(entry, 'user', at),
        namespace: this.#text(entry, 'namespace', at),
      })),
      currentContext: this.#text(document, 'current-context', ''),
    }
  }

  #cluster(entry: object, at: string): ClusterEntry {
    const extension = this.#list(entry, 'extensions', at).find(
      (item) => typeof item === 'object' && item !== null && valueOf(item, 'name') === execExtension,
    )
    return {
      server: this.#text(entry, 'server', at),
      caFile: this.#path(entry, 'certificate-authority', at),
      caData: this.#text(entry, 'certificate-authority-data', at),
      insecure: this.#flag(entry, 'insecure-skip-tls-verify', at),
      serverName: this.#text(entry, 'tls-server-name', at),
      proxyUrl: this.#text(entry, 'proxy-url', at),
      execConfig: typeof extension === 'object' && extension !== null ? valueOf(extension, 'extension') : undefined,
    }
  }

  #user(entry: object, at: string): UserEntry {
    const exec = this.#object(entry, 'exec', at)
    const provider = this.#object(entry, 'auth-provider', at)
    const providerConfig = provider === undefined ? undefined : this.#object(provider, 'config', `${at}.auth-provider`)
    return {
      token: this.#text(entry, 'token', at),
      tokenFile: this.#path(entry, 'tokenFile', at),
      username: this.#text(entry, 'username', at),
      password: this.#text(entry, 'password', at),
      certificateFile: this.#path(entry, 'client-certificate', at),
      certificateData: this.#text(entry, 'client-certificate-data', at),
      keyFile: this.#path(entry, 'client-key', at),
      keyData: this.#text(entry, 'client-key-data', at),
      exec: exec === undefined ? undefined : this.#exec(exec, `${at}.exec`),
      authProvider:
        provider === undefined
          ? undefined
          : {
              name: this.#text(provider, 'name', `${at}.auth-provider`),
              idToken:
                providerConfig === undefined
                  ? undefined
                  : this.#text(providerConfig, 'id-token', `${at}.auth-provider.config`),
            },
      impersonate: this.#impersonation(entry, at),
    }
  }

  #exec(exec: object, at: string): ExecConfig {
    const command = this.#text(exec, 'command', at)
    return {
      command: command?.includes(sep) === true ? resolve(this.#folder, command) : command,
      shownCommand: command ?? '',
      args: this.#texts(exec, 'args', at),
      env: this.#list(exec, 'env', at).map((item, index) => {
        const variable = this.#asObject(item, `${at}.env[${index}]`)
        return {
          name: this.#text(variable, 'name', `${at}.env[${index}]`) ?? '',
          value: this.#text(variable, 'value', `${at}.env[${index}]`) ?? '',
        }
      }),
      apiVersion: this.#text(exec, 'apiVersion', at),
      installHint: this.#text(exec, 'installHint', at),
      provideClusterInfo: this.#flag(exec, 'provideClusterInfo', at),
      interactiveMode: this.#text(exec, 'interactiveMode', at),
    }
  }

  #impersonation(entry: object, at: string): Impersonation {
    const extra = this.#object(entry, 'as-user-extra', at) ?? {}
    return {
      user: this.#text(entry, 'as', at),
      uid: this.#text(entry, 'as-uid', at),
      groups: this.#texts(entry, 'as-groups', at),
      extra: Object.fromEntries(
        Object.keys(extra).map((name) => [name, this.#texts(extra, name, `${at}.as-user-extra`)]),
      ),
    }
  }

  /** A list of `{name, <kind>: {…}}`, by name. */
  #named<T>(
    document: object,
    list: string,
    kind: string,
    read: (entry: object, at: string) => T,
  ): ReadonlyMap<string, T> {
    const found = new Map<string, T>()
    for (const [index, item] of this.#list(document, list, '').entries()) {
      const at = `${list}[${index}]`
      const named = this.#asObject(item, at)
      const name = this.#text(named, 'name', at) ?? ''
      if (found.has(name)) throw this.#invalid(at, `repeats the name ${JSON.stringify(name)}`)
      found.set(name, read(this.#object(named, kind, at) ?? {}, `${at}.${kind}`))
    }
    return found
  }

  /** A non-empty string; undefined when it is absent, null or empty. */
  #text(object: object, name: string, at: string): string | undefined {
    const value = valueOf(object, name) ?? undefined
    if (value === undefined || value === '') return undefined
    if (typeof value === 'string') return value
    throw this.#invalid(join(at, name), 'is not a string')
  }

  #path(object: object, name: string, at: string): string | undefined {
    const path = this.#text(object, name, at)
    return path === undefined ? undefined : resolve(this.#folder, path)
  }

  #flag(object: object, name: string, at: string): boolean {
    const value = valueOf(object, name) ?? false
    if (typeof value === 'boolean') return value
    throw this.#invalid(join(at, name), 'is neither true nor false')
  }

  #list(object: object, name: string, at: string): readonly unknown[] {
    const value = valueOf(object, name) ?? []
    if (Array.isArray(value)) return value
    throw this.#invalid(join(at, name), 'is not a list')
  }

  #texts(object: object, name: string, at: string): string[] {
    return this.#list(object, name, at).map((item) => {
      if (typeof item === 'string') return item
      throw this.#invalid(join(at, name), 'is not a list of strings')
    })
  }

  #object(object: object, name: string, at: string): object | undefined {
    const value = valueOf(object, name) ?? undefined
    return value === undefined ? undefined : this.#asObject(value, join(at, name))
  }

  #asObject(value: unknown, at: string): object {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
    throw this.#invalid(at, 'is not a mapping')
  }

  #invalid(at: string, problem: string): UsageError {
    return unreadable(this.#file, `${at} ${problem}`)
  }
}

function join(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`
}
