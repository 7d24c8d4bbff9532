#!/usr/bin/env node
const { existsSync } = require('node:fs')
const { join } = require('node:path')

const launch = join(__dirname, '..', 'dist', 'launch.js')
if (existsSync(launch)) {
  require(launch)
} else {
  process.stderr.write(
    `error: this checkout of kyconnect is not built\n  → build it: (cd '${join(__dirname, '..')}' && npm ci && npm run build)\n`,
  )
  process.exitCode = 1
}
