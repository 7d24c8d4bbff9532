import { defineConfig } from 'vitest/config'

/** The unit tests of the rooms whose code is mutated; the end-to-end tests run the built program, which holds no mutants. */
export default defineConfig({
  test: {
    include: ['test/{pki,identity,transport,connector,gateway,pairing}/**/*.test.ts', 'test/redaction.test.ts'],
    testTimeout: 60_000,
  },
})
