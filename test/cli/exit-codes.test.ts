import { expect, test } from 'vitest'
import { errorCodesOf, exitCodes, listExitCodes } from '../../src/cli/exit-codes.js'
import * as errors from '../../src/errors.js'

test('every error has its own code, an exit code, and the name of its class', () => {
  const made = Object.entries(errors).flatMap(([name, kind]) => {
    // The base class, and the functions that read an error's code.
    if (kind === errors.KyconnectError || /^[a-z]/.test(name)) return []
    // Each export of the file but the base is a class that takes a message.
    const error: unknown = Reflect.construct(kind, ['message', { hints: ['hint'] }])
    if (!(error instanceof errors.KyconnectError)) throw new TypeError(`${name} is not an error`)
    return [[name, error] as const]
  })
  expect(made.length).toBeGreaterThan(25)
  expect(Object.keys(exitCodes)).toHaveLength(made.length)
  expect(new Set(made.map(([, { code }]) => code)).size).toBe(made.length)
  for (const [name, error] of made) {
    expect(error.code).toMatch(/^ERR_[A-Z_]+$/)
    expect(error.name).toBe(name)
    expect(Object.keys(exitCodes)).toContain(error.code)
  }
})

test('every exit code has a meaning, and every one but success has errors', () => {
  const listed = listExitCodes()
  expect(listed.map(({ exitCode }) => exitCode)).toEqual(
    [0, ...new Set(Object.values(exitCodes))].sort((a, b) => a - b),
  )
  expect(listed.flatMap(({ exitCode }) => errorCodesOf(exitCode)).sort()).toEqual(Object.keys(exitCodes).sort())
  for (const { meaning } of listed) expect(meaning).toMatch(/^[a-z]/)
})

test('a hint can be added to, and the first stays', () => {
  const error = new errors.FilesError('no space', { hints: ['make room'] }).addHint('the token is spent')
  expect(error.hints).toEqual(['make room', 'the token is spent'])
  expect(new errors.FilesError('no space').addHint('alone').hints).toEqual(['alone'])
})
