import { defineConfig } from 'vitest/config'

/** The unit tests of the rooms whose code is mutated; the end-to-end tests run the built program, which holds no mutants. */
export default defineConfig({
  test: {
    include: ['test/{pki,identity,transport,connector,gateway,pairing}/**/*.test.ts', 'test/redaction.test.ts'],
    // They try every order of steps, which is too long to do for each mutant.
    exclude: ['test/identity/lock-{interleavings,processes}.test.ts'],
    testTimeout: 60_000,
  },
})
