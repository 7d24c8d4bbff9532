import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { ServiceFilesError } from '../../../src/errors.js'
import type { DesiredService } from '../../../src/registry/desired-service.js'
import { readServiceFiles, type Problem } from '../../../src/registry/files/read.js'
import { formatPlace } from '../../../src/registry/place.js'

export interface ServiceFolder {
  /** The real path. */
  readonly path: string
  write(files: Readonly<Record<string, string | Uint8Array>>): void
  read(sources?: readonly string[], stdin?: string): Promise<readonly DesiredService[]>
  /** Each as a person sees it: `orders.yaml:3:5: …`. */
  problems(sources?: readonly string[], stdin?: string): Promise<readonly string[]>
  problemsWithHints(sources?: readonly string[]): Promise<readonly Problem[]>
}

/** A folder for each test, which is the working folder of what is read. */
export function useServiceFolder(): ServiceFolder {
  let path = ''
  beforeEach(() => {
    path = realpathSync(mkdtempSync(join(tmpdir(), 'kyconnect-files-')))
  })
  afterEach(() => {
    rmSync(path, { recursive: true, force: true })
  })
  const read = async (sources: readonly string[] = ['.'], stdin = ''): Promise<readonly DesiredService[]> => {
    const { signal } = new AbortController()
    const { services } = await readServiceFiles(sources, {
      workingFolder: path,
      readStdin: () => Promise.resolve(stdin),
      signal,
    })
    return services
  }
  const problemsWithHints = async (sources?: readonly string[], stdin?: string): Promise<readonly Problem[]> => {
    try {
      await read(sources, stdin)
      return []
    } catch (error) {
      if (!(error instanceof ServiceFilesError)) throw error
      const problems: unknown = error.details?.['problems']
      return isProblems(problems) ? problems : []
    }
  }
  return {
    get path() {
      return path
    },
    write(files) {
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(dirname(join(path, name)), { recursive: true })
        writeFileSync(join(path, name), content)
      }
    },
    read,
    problemsWithHints,
    async problems(sources, stdin) {
      return (await problemsWithHints(sources, stdin)).map((problem) => `${formatPlace(problem)}: ${problem.message}`)
    },
  }
}

function isProblems(value: unknown): value is readonly Problem[] {
  return Array.isArray(value)
}

/** A service file with nothing wrong, and more of the caller's at its end. */
export function serviceYaml(more = '', identifier = 'orders'): string {
  return `identifier: ${identifier}
name: Orders
provider: ACME
description: Orders of the shop
${more === '' ? 'api: { targetUrl: https://orders.example }\n' : more}`
}
