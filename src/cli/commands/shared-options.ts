import { type Command, Option } from 'commander'

export function addNetworkOptions(command: Command): Command {
  return command
    .option(
      '--node-port <port>',
      'port of the gateway on a local cluster, put into every gateway URL; auto (pair, info) asks the cluster [KYCONNECT_NODE_PORT]',
    )
    .addOption(
      new Option(
        '--resolve <host:port:addr>',
        'connect to this address instead, as curl does; * as port, *.kyma.local as host; repeatable [KYCONNECT_RESOLVE]',
      ).argParser(collect),
    )
    .option('--ca-file <pem>', 'trust these certificates too [KYCONNECT_CA_FILE]')
    .option(
      '--proxy <url>',
      'connect through this HTTP proxy; none for no proxy; default: the one stored by pair [HTTPS_PROXY, NO_PROXY]',
    )
    .option('-k, --insecure', "do not check the server's certificate [KYCONNECT_INSECURE]")
    .option('--timeout <seconds>', `how long an answer may take (default: 30)`)
}

export function addProfileOption(command: Command): Command {
  return command.option('--profile <name>', 'the stored identity to use; default: the only one [KYCONNECT_PROFILE]')
}

export function addOutputOptions(command: Command): Command {
  return command
    .option('--json', 'one JSON document on stdout; an error is one JSON line on stderr')
    .option('--verbose', 'show the exchanges, tokens taken out, and stack traces')
}

/** Which cluster is asked. */
function addContextOptions(command: Command): Command {
  return command
    .option(
      '--kubeconfig <file>',
      'the kubeconfig [KUBECONFIG; default: ~/.kube/config, or the service account of a pod]',
    )
    .option('--context <name>', 'the context of the kubeconfig; default: its current one')
}

/** Where a cluster is asked for its NodePort. */
export function addClusterOptions(command: Command): Command {
  return addContextOptions(command).option(
    '--gateway-service <ns/name>',
    "the gateway's Service, for --node-port auto; default: Kyma's",
  )
}

/** Where a cluster is asked for a token. */
export function addTokenOptions(command: Command): Command {
  return addContextOptions(command)
    .option('-n, --namespace <name>', "where the TokenRequest is made; default: the context's")
    .option('--tenant <name>', 'in central mode, with --group')
    .option('--group <name>', 'in central mode, with --tenant')
    .option('--create-app', 'create the Application when there is none')
    .option('--wait <seconds>', 'how long to wait for the token URL (default: 60)')
}

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}
