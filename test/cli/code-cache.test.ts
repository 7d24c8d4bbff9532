import { readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CodeCache } from '../../src/cli/code-cache.js'
import { temporaryFolder } from '../support/certificates.js'

/** npm gives every file of a package this date. */
const packed = new Date('1985-10-26T08:15:00Z')

/** What a bundle exports when it is compiled through the cache. */
function load(cache: CodeCache, file: string): unknown {
  const module = { exports: {} }
  const run: unknown = cache.compile(file).runInThisContext()
  if (typeof run !== 'function') throw new TypeError('not a module')
  Reflect.apply(run, undefined, [module.exports, undefined, module, file, ''])
  return module.exports
}

test('a bundle of the same size and date, but with another content, is compiled anew', async () => {
  const folder = await temporaryFolder('code')
  const [bundle, cached] = [join(folder.path, 'main.js'), join(folder.path, 'cached')]
  const write = async (source: string): Promise<void> => {
    await writeFile(bundle, source)
    await utimes(bundle, packed, packed)
  }
  await write('module.exports = () => "old"')
  const first = new CodeCache(cached, { 'main.js': 'hash of the old one' }, 'info')
  expect((load(first, bundle) as () => string)()).toBe('old')
  first.save()
  expect(await readdir(cached)).toHaveLength(1)

  await write('module.exports = () => "new"')
  const second = new CodeCache(cached, { 'main.js': 'hash of the new one' }, 'info')
  expect((load(second, bundle) as () => string)()).toBe('new')
  second.save()
  expect(await readdir(cached)).toHaveLength(2)
  await folder.remove()
})

test('an unchanged bundle is not compiled again', async () => {
  const folder = await temporaryFolder('code')
  const [bundle, cached] = [join(folder.path, 'main.js'), join(folder.path, 'cached')]
  await writeFile(bundle, 'module.exports = () => "same"')
  const hashes = { 'main.js': 'hash' }
  const first = new CodeCache(cached, hashes, 'info')
  load(first, bundle)
  first.save()
  const [script, again] = [new CodeCache(cached, hashes, 'info').compile(bundle), await readdir(cached)]
  expect(script.cachedDataRejected).toBe(false)
  expect(again).toHaveLength(1)
  await folder.remove()
})
