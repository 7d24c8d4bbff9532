import type { CommanderError } from 'commander'
import { UsageError } from '../errors.js'

/** Words that people know from other tools, and the command that does it here. */
const otherWords = new Map<string, string>(
  Object.entries({
    'kyconnect info': ['status', 'show', 'get', 'describe', 'whoami'],
    'kyconnect remove <profile>': ['delete', 'del', 'unpair', 'logout'],
    'kyconnect rename <from> <to>': ['mv', 'move'],
    'kyconnect pair --url -': ['connect', 'login', 'register', 'enroll', 'init'],
    'kyconnect call <endpoint>': ['curl', 'request', 'fetch', 'http'],
    'kyconnect call metadata': ['metadata', 'services', 'service'],
    'kyconnect call events -d @event.json': ['events', 'event', 'publish', 'send'],
    'kyconnect sandbox': ['start', 'serve', 'mock'],
  }).flatMap(([command, words]) => words.map((word) => [word, `run: ${command}`] as const)),
).set('renew', 'kyconnect cannot renew a certificate yet; pair again: kyconnect pair --force --url -')

/** Flags that people know from other tools, and the one that does it here. */
const otherFlags = new Map([
  ['-o', 'for output that a program reads, use --json'],
  ['--output', 'for output that a program reads, use --json'],
  ['-v', 'to see the exchanges, use --verbose'],
  ['-p', 'to name the identity, use --profile'],
  ['-f', 'to replace an identity, use --force'],
])

/**
 * What commander says of a command line, as our error, with the right command where we know what was meant. What commander found
 * is read from its code, never from its message.
 */
export function usageError(
  { code, message }: Pick<CommanderError, 'code' | 'message'>,
  args: readonly string[],
  commandNames: readonly string[],
): UsageError {
  const words = args.filter((arg) => !arg.startsWith('-'))
  const word = words[0] === 'help' ? words[1] : words[0]
  const command = word !== undefined && commandNames.includes(word) ? `${word} ` : ''
  // commander shows the program's help for `help <unknown command>`, and counts it as a failure.
  const isUnknownCommand = code === 'commander.unknownCommand' || code === 'commander.help'
  const hint = isUnknownCommand
    ? hintOfWord(word ?? '')
    : code === 'commander.unknownOption'
      ? hintOfFlag(args)
      : undefined
  const problem = code === 'commander.help' ? 'unknown command' : message.replace(/^error: /, '')
  return new UsageError(problem, {
    hints: [...(hint === undefined ? [] : [hint]), `see kyconnect ${command}--help`],
  })
}

function hintOfWord(word: string): string | undefined {
  if (!/^https?:\/\//i.test(word)) return otherWords.get(word.toLowerCase())
  return /[?&]token=/i.test(word)
    ? 'to pair with a token URL, pipe it in: kyconnect pair --url -'
    : 'to call a URL of the gateway, run: kyconnect call <url>'
}

function hintOfFlag(args: readonly string[]): string | undefined {
  return args.map((arg) => otherFlags.get(/^--\w+|^-\w/.exec(arg)?.[0] ?? '')).find((hint) => hint !== undefined)
}
