import { defineConfig } from 'vitest/config'

/** The unit tests of the rooms whose code is mutated; the end-to-end tests run the built program, which holds no mutants. */
export default defineConfig({
  test: {
    include: ['test/{pki,identity,transport,connector,gateway,pairing}/**/*.test.ts', 'test/redaction.test.ts'],
    // Two try every order of steps, which is too long for each mutant; a worker thread shares the umask of its process.
    exclude: ['test/identity/lock-{interleavings,processes}.test.ts', 'test/identity/umask.test.ts'],
    testTimeout: 60_000,
  },
})
