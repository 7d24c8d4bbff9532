import { type Command, Option } from 'commander'

/** Flags that say how the services are reached. */
export function addNetworkOptions(command: Command): Command {
  return command
    .optionsGroup('Connection:')
    .option(
      '--node-port <port>',
      'port of the gateway on a local cluster; it replaces the port in every gateway URL; "auto" (pair, info) reads it from the cluster [KYCONNECT_NODE_PORT]',
    )
    .addOption(
      new Option(
        '--resolve <host:port:addr>',
        'connect to this address, as curl does; * matches any port, *.kyma.local any host of the domain; repeatable [KYCONNECT_RESOLVE]',
      ).argParser(collect),
    )
    .option(
      '--ca-file <pem>',
      "trust the certificates in this file as well as Node's and the system's [KYCONNECT_CA_FILE]",
    )
    .option(
      '--proxy <url>',
      'connect through this HTTP proxy; "none" for no proxy (default: the one that pair stored) [HTTPS_PROXY, NO_PROXY]',
    )
    .option('-k, --insecure', "do not check the server's certificate [KYCONNECT_INSECURE]")
    .option('--timeout <seconds>', 'time limit for connecting, and for each answer (default: 30)')
}

/** The flag that names the identity to use. */
export function addProfileOption(command: Command): Command {
  return command
    .optionsGroup('Identity:')
    .option('--profile <name>', 'the identity to use (default: the only one stored) [KYCONNECT_PROFILE]')
}

/** Flags that say what is printed, and how. */
export function addOutputOptions(command: Command): Command {
  return command
    .optionsGroup('Output:')
    .option('--json', 'print one JSON document on stdout, and an error as one JSON line on stderr')
    .option('--verbose', 'show the HTTP exchanges, without tokens, and stack traces')
}

/** Flags that say which cluster to use. */
function addContextOptions(command: Command): Command {
  return command
    .option('--kubeconfig <file>', "the kubeconfig (default: ~/.kube/config, or a pod's service account) [KUBECONFIG]")
    .option('--context <name>', 'the context of the kubeconfig (default: its current one)')
}

/** Flags for reading the NodePort from a cluster. */
export function addClusterOptions(command: Command): Command {
  return addContextOptions(command.optionsGroup('Cluster, for --node-port auto:')).option(
    '--gateway-service <ns/name>',
    "the gateway's Service, for --node-port auto (default: Kyma's)",
  )
}

/** Flags for requesting a token from a cluster. */
export function addTokenOptions(command: Command): Command {
  return addContextOptions(command.optionsGroup('Cluster, when it is asked for a token:'))
    .option('-n, --namespace <name>', "the namespace of the TokenRequest (default: the context's)")
    .option('--tenant <name>', 'the tenant, in central mode; needs --group')
    .option('--group <name>', 'the group, in central mode; needs --tenant')
    .option('--create-app', 'create the Application if the cluster does not have it')
    .option('--wait <seconds>', 'time limit for the cluster to issue the token URL (default: 60)')
}

/** Collects the values of an option that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}
