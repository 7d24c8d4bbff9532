import { expect, test } from 'vitest'
import { defaultHome } from '../../src/identity/home.js'

test.each<[NodeJS.Platform, Record<string, string>, string]>([
  ['linux', {}, '/home/me/.local/share/kyconnect'],
  ['linux', { XDG_DATA_HOME: '/data' }, '/data/kyconnect'],
  ['linux', { XDG_DATA_HOME: '' }, '/home/me/.local/share/kyconnect'],
  ['linux', { XDG_DATA_HOME: 'data' }, '/home/me/.local/share/kyconnect'],
  ['freebsd', {}, '/home/me/.local/share/kyconnect'],
  ['darwin', { XDG_DATA_HOME: '/data' }, '/home/me/Library/Application Support/kyconnect'],
  ['win32', { LOCALAPPDATA: '/local' }, '/local/kyconnect'],
  ['win32', { LOCALAPPDATA: '' }, '/home/me/AppData/Local/kyconnect'],
])('on %s with %j, identities are stored in %s', (platform, environment, expected) => {
  expect(defaultHome({ platform, userHome: '/home/me', environment })).toBe(expected)
})
