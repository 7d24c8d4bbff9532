import { type Command, Option } from 'commander'

export function addNetworkOptions(command: Command): Command {
  return command
    .option(
      '--node-port <port>',
      'port of the gateway on a local cluster, put into every gateway URL [KYCONNECT_NODE_PORT]',
    )
    .addOption(
      new Option(
        '--resolve <host:port:addr>',
        'connect to this address instead, as curl does; * as port, *.kyma.local as host; repeatable [KYCONNECT_RESOLVE]',
      ).argParser(collect),
    )
    .option('--ca-file <pem>', 'trust these certificates too [KYCONNECT_CA_FILE]')
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

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}
