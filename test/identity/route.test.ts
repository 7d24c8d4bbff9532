import { expect, test } from 'vitest'
import { connectorRoute } from '../../src/identity/route.js'
import { plainChoice } from '../support/identities.js'

test('a route has 8 connections at a time, unless the run chooses another number', () => {
  expect(connectorRoute(plainChoice).connections).toBe(8)
  expect(connectorRoute({ ...plainChoice, connections: 20 }).connections).toBe(20)
})
