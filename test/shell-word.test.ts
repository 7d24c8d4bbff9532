import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shellWord } from '../src/shell-word.js'
import { run } from './support/kyconnect.js'

test('a plain name stays as it is, and everything else is one word for a shell', () => {
  const plain = ['demo', 'gke_project_europe-west1_kyma', 'user@shoot--kyma', 'arn:aws:eks:eu:1:cluster/x', '/a/b.pem']
  expect(plain.map(shellWord)).toEqual(plain)
  expect(['', 'two words', "it's", '$HOME', '*'].map(shellWord)).toEqual([
    "''",
    "'two words'",
    "'it'\\''s'",
    "'$HOME'",
    "'*'",
  ])
})

test('a shell reads back what was quoted', async () => {
  const texts = fc.sample(fc.string({ unit: fc.constantFrom(...Array.from('a \t\n\'"\\$`!*?[~#&|;<>(){}=-é')) }), 200)
  const done = await run('sh', ['-c', `printf '%s\\0' ${texts.map(shellWord).join(' ')}`])
  expect(done.stdout.split('\0').slice(0, -1)).toEqual(texts)
})
