import { basename, dirname, join, resolve } from 'node:path'
import { UsageError } from '../../../errors.js'
import { draftService } from '../../../registry/files/draft.js'
import { maxSpecificationBytes } from '../../../registry/files/specification.js'
import { schemaReference } from '../../../registry/files/schema-comment.js'
import { oneLine } from '../../../redaction.js'
import { shellWord } from '../../../shell-word.js'
import type { Context } from '../../context.js'
import { readGivenFile } from '../../given-file.js'
import { jsonLine } from '../../output/json-document.js'
import type { OutputOptions } from '../../output/output.js'
import { timeoutMs } from '../../route-choice.js'
import { download, tooLargeHint } from './download.js'
import { showingProblems } from './service-files.js'
import { type NewFile, writeFiles } from './write-files.js'

/** The flags of the command, as they are given. */
export interface InitOptions extends OutputOptions {
  readonly from: string
  readonly output?: string
  readonly targetUrl?: string
  readonly force?: true
  readonly timeout?: string
}

export async function runInit(options: InitOptions, context: Context): Promise<void> {
  const { stdout, stderr } = context
  const json = options.json === true
  if (options.output === '-') {
    throw new UsageError(
      '--output takes the name of a file, not "-": the service file names its specification by a path',
      {
        hints: ['name a file in the folder of the specification: --output orders.service.yaml'],
      },
    )
  }
  const source = await readSource(options, context)
  const draft = await showingProblems(json, context, () =>
    draftService({
      ...source,
      ...(options.targetUrl === undefined ? {} : { targetUrl: options.targetUrl }),
      schema: schemaReference(context.schemaFile(), join(source.folder, 'service.yaml')),
    }),
  )
  const usualPath = join(source.folder, freeName(draft.identifier, source.fileName))
  const path = options.output ?? usualPath
  if (resolve(dirname(path)) !== resolve(source.folder)) {
    throw new UsageError('the service file and the specification have to be in the same folder', {
      hints: [`write it there: --output ${shellWord(usualPath)}`],
    })
  }
  if (isSameName(basename(path), source.fileName)) {
    throw new UsageError(`the service file and the specification cannot both be ${JSON.stringify(path)}`, {
      hints: [`give the service file another name: --output ${shellWord(usualPath)}`],
    })
  }
  const files: NewFile[] = [
    ...(source.isDownload ? [{ path: join(source.folder, source.fileName), text: source.text }] : []),
    { path, text: draft.text },
  ]
  await writeFiles(files, options.force === true)
  if (json) await stdout.write(jsonLine({ files: files.map((file) => file.path), identifier: draft.identifier }))
  else
    await stderr.write(
      `Wrote ${files.map((file) => oneLine(file.path)).join(' and ')}.\n  next  kyconnect services apply -f ${shellWord(path)}    shows the plan, and registers the service\n`,
    )
}

/** A name for the service file that is not that of the specification. */
function freeName(identifier: string, fileName: string): string {
  const name = `${identifier}.service.yaml`
  return isSameName(name, fileName) ? `${identifier}.kyconnect.yaml` : name
}

/** Some file systems do not tell upper case from lower case. */
function isSameName(name: string, other: string): boolean {
  return name.toLowerCase() === other.toLowerCase()
}

interface Source {
  readonly text: string
  readonly fileName: string
  /** Where both files are, or will be. */
  readonly folder: string
  readonly isDownload: boolean
  readonly url?: URL
}

async function readSource({ from, output, timeout }: InitOptions, context: Context): Promise<Source> {
  if (!/^https?:\/\//i.test(from)) {
    const text = await readGivenFile(from, '--from', context, {
      maxBytes: maxSpecificationBytes,
      hint: tooLargeHint,
    })
    return { text, fileName: basename(from), folder: dirname(from), isDownload: false }
  }
  if (!URL.canParse(from)) throw new UsageError('--from is not a valid URL')
  const url = new URL(from)
  if (url.username !== '' || url.password !== '') {
    throw new UsageError('the URL of --from has a user name or a password in it', {
      hints: ['download the document with another program, and give the file'],
    })
  }
  const text = await download(url, timeoutMs(timeout), context.runtime.signal)
  const folder = output === undefined ? '.' : dirname(output)
  return { text, fileName: fileNameOf(url, text), folder, isDownload: true, url }
}

/** A name that is safe in a folder: the last part of the URL's path, and an extension that fits the text. */
function fileNameOf({ pathname }: URL, text: string): string {
  const last = pathname.split('/').at(-1) ?? ''
  const name = last
    .replace(/[^\w.-]/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 100)
  if (/\.(?:ya?ml|json)$/i.test(name)) return name
  return `${name === '' ? 'specification' : name}${/^\s*\{/.test(text) ? '.json' : '.yaml'}`
}
