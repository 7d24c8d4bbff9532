import { cp, readFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/certificates.js'
import { type FakeCluster, startFakeCluster } from '../support/fake-cluster.js'
import { type FakeKyma, type Faults, json, startFakeKyma } from '../support/fake-kyma.js'
import { hostileAnswers } from '../support/hostile-answers.js'
import { program, type Run, type Running, start } from '../support/kyconnect.js'

/** What one run of the program talks to, and the homes that it may begin with. Runs take turns with it. */
interface World {
  readonly kyma: FakeKyma
  readonly cluster: FakeCluster
  /** A home with an identity. */
  readonly paired: string
  /** A home with a pairing whose CSR was not signed; to be copied. */
  readonly pending: string
}

/** A step of the program that reads an answer, and the command that gets there. */
interface Step {
  readonly name: string
  readonly args: readonly string[]
  /** The flags that take a time limit in seconds. */
  readonly limits: readonly string[]
  readonly home: 'fresh' | 'paired' | 'pending'
  /** Has this step, and no other, answered by a function. */
  readonly answerWith: (world: World, answer: (response: ServerResponse) => void) => void
  /** Whether the cluster may keep the TokenRequest. */
  readonly keepsTokenRequest?: true
  /** Milliseconds that the program takes on purpose after a Ctrl-C: it cleans up. */
  readonly cleanUpMs?: number
}

/** Seconds that the program may wait for an answer. */
const timeout = 2
/** Two cores, and most runs wait for an answer most of their time. */
const runsAtOnce = 4
const someCertificate = Buffer.alloc(100).toString('base64')
const names = hostileAnswers(someCertificate).map(({ name }) => name)
/** `call` passes on what keeps coming, however slowly: only an idle connection, 1 GiB, an hour or Ctrl-C ends it. */
const streamed = new Set(['a body that arrives byte by byte', 'a chunked body without an end'])

const ofKyma =
  (fault: keyof Faults): Step['answerWith'] =>
  ({ kyma }, answer) => {
    kyma.faults[fault] = (_, response) => {
      answer(response)
    }
  }
const ofCluster =
  (request: RegExp): Step['answerWith'] =>
  ({ cluster }, answer) => {
    cluster.faults.intercept = (line, response) => {
      if (!request.test(line)) return false
      answer(response)
      return true
    }
  }

const pairing = { args: ['pair', '--url', '-'], limits: ['--timeout'], home: 'fresh' } as const
const resuming = { args: ['pair', '--resume'], limits: ['--timeout'], home: 'pending' } as const
const pairingByCluster = { args: ['pair', '--app', 'demo'], limits: ['--timeout', '--wait'], home: 'fresh' } as const
const steps: readonly Step[] = [
  { ...pairing, name: 'the CSR information', answerWith: ofKyma('info') },
  { ...pairing, name: 'the signing', answerWith: ofKyma('csr') },
  { ...resuming, name: 'the signing after --resume', answerWith: ofKyma('csr') },
  { ...resuming, name: 'the management info after --resume', answerWith: ofKyma('management') },
  {
    name: 'the management info',
    args: ['info'],
    limits: ['--timeout'],
    home: 'paired',
    answerWith: ofKyma('management'),
  },
  { name: 'a call', args: ['call', 'info'], limits: ['--timeout'], home: 'paired', answerWith: ofKyma('management') },
  {
    ...pairingByCluster,
    name: "the gateway's Service",
    args: [...pairingByCluster.args, '--node-port', 'auto'],
    answerWith: ofCluster(/^GET \S*\/services\//),
  },
  { ...pairingByCluster, name: 'the Application', answerWith: ofCluster(/^GET \S*\/applications\/demo$/) },
  {
    ...pairingByCluster,
    name: 'the creation of the TokenRequest',
    answerWith: ({ cluster }, answer) => {
      cluster.faults.creation = answer
    },
  },
  {
    ...pairingByCluster,
    name: 'the watch of the TokenRequest',
    answerWith: (world, answer) => {
      ofCluster(/^GET \S*\/tokenrequests\?$/)(world, answer)
      // The program watches until its time is up: the object itself never holds the URL.
      world.cluster.faults.controller = () => undefined
    },
  },
  {
    ...pairingByCluster,
    name: 'the deletion of the TokenRequest',
    answerWith: ofCluster(/^DELETE \S*\/tokenrequests\/demo$/),
    keepsTokenRequest: true,
    cleanUpMs: 3000,
  },
]

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let worlds: readonly World[] = []
const idle: World[] = []
const waiting: ((world: World) => void)[] = []
/** Milliseconds that a run takes here when all goes well: how busy this machine is. */
let usualMs = 0
let answers: Map<string, ReturnType<typeof hostileAnswers>[number]['answer']>
let homes = 0

beforeAll(async () => {
  folder = await temporaryFolder('hostile')
  worlds = await Promise.all(Array.from({ length: runsAtOnce }, startWorld))
  const [first] = worlds
  if (first === undefined) throw new Error('there is nothing to talk to')
  const certificate = await readFile(first.kyma.clientAuthority.certificateFile, 'utf8')
  answers = new Map(hostileAnswers(certificate).map(({ name, answer }) => [name, answer]))
  const started = performance.now()
  await expectEnd(startProgram(first, pairingByCluster, newHome()), 0)
  usualMs = performance.now() - started
  idle.push(...worlds)
})
afterAll(async () => {
  await Promise.all(worlds.flatMap(({ kyma, cluster }) => [kyma.stop(), cluster.stop()]))
  await folder.remove()
})

async function startWorld(): Promise<World> {
  const [kyma, cluster] = await Promise.all([startFakeKyma(), startFakeCluster()])
  cluster.tokenUrl = kyma.tokenUrl
  cluster.services = [
    {
      name: 'application-connector-ingress-nginx-ingress-controller',
      spec: { type: 'NodePort', ports: [{ port: 443, nodePort: kyma.gatewayPort }] },
    },
  ]
  const world = { kyma, cluster, paired: newHome(), pending: newHome() }
  await expectEnd(startProgram(world, pairing, world.paired), 0)
  kyma.faults.csr = (_, response) => {
    json(response, 500, { code: 500, error: 'Error while creating certificate.' })
  }
  await expectEnd(startProgram(world, pairing, world.pending), 7)
  kyma.faults = {}
  return world
}

async function expectEnd({ end }: Running, code: number): Promise<void> {
  const ended = await end
  expect(ended.code, ended.stderr).toBe(code)
}

function newHome(): string {
  return join(folder.path, `home-${homes++}`)
}

function startProgram(
  { kyma, cluster }: World,
  { args, limits }: Pick<Step, 'args' | 'limits'>,
  home: string,
  seconds = 60,
): Running {
  return start(process.execPath, [program, ...args, ...limits.flatMap((flag) => [flag, String(seconds)])], {
    env: { ...kyma.env, KUBECONFIG: cluster.kubeconfig, KYCONNECT_HOME: home },
    input: kyma.tokenUrl,
    limit: 100_000,
  })
}

/**
 * Starts the program with a step that is answered as named, past Node's own server.
 * @param use is given the program, and a promise that resolves when the step has been answered
 */
async function runStep(
  step: Step,
  name: string,
  seconds: number,
  use: (running: Running, answered: Promise<void>) => Promise<Run>,
): Promise<Run> {
  const world = idle.pop() ?? (await new Promise<World>((resolve) => waiting.push(resolve)))
  const { kyma, cluster } = world
  const answered = new Promise<void>((resolve) => {
    step.answerWith(world, ({ socket }) => {
      // The client may have hung up already.
      if (socket === null) return
      socket.on('error', () => undefined)
      answers.get(name)?.(socket)
      resolve()
    })
  })
  try {
    const home = step.home === 'paired' ? world.paired : newHome()
    if (step.home === 'pending') await cp(world.pending, home, { recursive: true, verbatimSymlinks: true })
    const ended = await use(startProgram(world, step, home, seconds), answered)
    if (step.keepsTokenRequest !== true) expect(cluster.tokenRequests.size, ended.stderr).toBe(0)
    return ended
  } finally {
    kyma.faults = {}
    cluster.faults = {}
    cluster.tokenRequests.clear()
    const next = waiting.shift()
    if (next === undefined) idle.push(world)
    else next(world)
  }
}

describe.each(steps)('$name', (step) => {
  test.concurrent.each(names.filter((name) => step.args[0] !== 'call' || !streamed.has(name)))(
    'answered with %s ends within the time limit, and says so',
    async (name) => {
      let took = 0
      const ended = await runStep(step, name, timeout, async ({ end }) => {
        const started = performance.now()
        const run = await end
        took = performance.now() - started
        return run
      })
      expect(ended.signal, ended.stderr).toBeNull()
      // A 4xx is a refusal (6), an odd call may even be a success of HTTP (0); never a crash (1).
      expect([0, 3, 4, 6, 7, 8], ended.stderr).toContain(ended.code)
      expect(ended.stderr.length).toBeLessThan(20_000)
      expect(took).toBeLessThan((timeout + 1) * 1000 + 10 * usualMs)
    },
    120_000,
  )
})

describe.each(steps)('Ctrl-C while $name', (step) => {
  test.concurrent.each(names)(
    'is answered with %s ends the program',
    async (name) => {
      let took = 0
      const ended = await runStep(step, name, 60, async ({ child, end }, answered) => {
        await answered
        await sleep(100)
        const interrupted = performance.now()
        child.kill('SIGINT')
        const run = await end
        took = performance.now() - interrupted
        return run
      })
      // It may have ended by itself before: most answers are refused as soon as they are read.
      expect([0, 3, 4, 6, 7, 8, 130], ended.stderr).toContain(ended.code)
      expect(took).toBeLessThan((step.cleanUpMs ?? 0) + 1000 + 10 * usualMs)
    },
    120_000,
  )
})
