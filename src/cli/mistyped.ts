import type { Command, CommanderError } from 'commander'
import { UsageError } from '../errors.js'

/** Commands that people know from other tools, and the kyconnect command for each. */
const otherWords = new Map<string, string>(
  Object.entries({
    'kyconnect info': ['show', 'get', 'describe', 'whoami'],
    'kyconnect status': ['expiry', 'check', 'profiles', 'identities', 'metrics'],
    'kyconnect renew': ['refresh', 'rotate', 'reissue'],
    'kyconnect remove <profile>': ['delete', 'del', 'unpair', 'logout'],
    'kyconnect rename <from> <to>': ['mv', 'move'],
    'kyconnect rollback': ['undo', 'restore', 'revert'],
    'kyconnect pair --url -': ['connect', 'login', 'register', 'enroll', 'init'],
    'kyconnect call <endpoint>': ['curl', 'request', 'fetch', 'http'],
    'kyconnect services list': ['metadata', 'service', 'registry', 'apis'],
    'kyconnect services apply -f <file>': ['apply', 'sync'],
    'kyconnect services diff -f <file>': ['diff', 'plan'],
    'kyconnect services export <folder>': ['export', 'dump'],
    'kyconnect events publish': ['event', 'publish', 'send'],
    'kyconnect events subscribed': ['subscriptions', 'subscribed'],
    'kyconnect sandbox': ['start', 'serve', 'mock'],
  }).flatMap(([command, words]) => words.map((word) => [word, `run: ${command}`] as const)),
)

/** Flags that people know from other tools, and a hint for each. */
const otherFlags = new Map([
  ['-o', 'for output that a program reads, use --json'],
  ['--output', 'for output that a program reads, use --json'],
  ['-v', 'to see the exchanges, use --verbose'],
  ['-p', 'to name the identity, use --profile'],
  ['-f', 'to replace an identity, use --force; to name service files: kyconnect services apply -f <file>'],
])

/**
 * Turns commander's error into ours, and names the right command where we know what was meant. The kind of error is read from
 * commander's code, never from its message.
 */
export function usageError(
  { code, message }: Pick<CommanderError, 'code' | 'message'>,
  args: readonly string[],
  program: Command,
): UsageError {
  const words = args.filter((arg) => !arg.startsWith('-'))
  const [word = '', second = ''] = words[0] === 'help' ? words.slice(1) : words
  const outer = named(word, program)
  const command = outer && (named(second, outer) ?? outer)
  // commander names a flag or an argument that the group does not have; the wrong word is the name of the command.
  const isUnknownSubcommand = outer !== undefined && outer.commands.length > 0 && second !== '' && command === outer
  // commander shows the program's help for `help <unknown command>`, and counts it as a failure.
  const isUnknownCommand = code === 'commander.unknownCommand' || code === 'commander.help'
  const isUnknownOption = code === 'commander.unknownOption'
  const hint = isUnknownCommand
    ? hintOfWord(word)
    : isUnknownOption && !isUnknownSubcommand
      ? hintOfFlag(args, command ?? program)
      : undefined
  // Where we know what was meant, commander's own guess would name another command.
  const isOtherWord = isUnknownCommand && otherWords.has(word.toLowerCase())
  const problem = isOtherWord
    ? `unknown command '${word}'`
    : isUnknownSubcommand
      ? `unknown command '${word} ${second}'`
      : code === 'commander.help'
        ? 'unknown command'
        : message.replace(/^error: /, '')
  return new UsageError(problem, {
    hints: [...(hint === undefined ? [] : [hint]), `see kyconnect ${pathOf(command, outer)}--help`],
  })
}

function named(word: string, parent: Command): Command | undefined {
  return parent.commands.find((one) => one.name() === word || one.aliases().includes(word))
}

/** The names of a command, and of the one it belongs to, to go before a flag. */
function pathOf(command: Command | undefined, outer: Command | undefined): string {
  if (command === undefined || outer === undefined) return ''
  return command === outer ? `${command.name()} ` : `${outer.name()} ${command.name()} `
}

function hintOfWord(word: string): string | undefined {
  if (!/^https?:\/\//i.test(word)) return otherWords.get(word.toLowerCase())
  return /[?&]token=/i.test(word)
    ? 'to pair with a token URL, pipe it in: kyconnect pair --url -'
    : 'to call a URL of the gateway, run: kyconnect call <url>'
}

/** The hint for the first flag that the command does not have and another tool has. */
function hintOfFlag(args: readonly string[], command: Command): string | undefined {
  return args
    .map((arg) => /^--\w+|^-\w/.exec(arg)?.[0] ?? '')
    .filter((flag) => !command.options.some(({ short, long }) => short === flag || long === flag))
    .map((flag) => otherFlags.get(flag))
    .find((hint) => hint !== undefined)
}
