'use strict'
// Loaded before the program (node --require): kills the process with SIGKILL right before its n-th change to the file system,
// so that a test can try every instant there is. DIE_AT names n; DIE_LOG a file that the number of changes is written to.
const fs = require('node:fs')

const dieAt = Number(process.env.DIE_AT ?? '0')
const log = process.env.DIE_LOG
let changes = 0

function change() {
  changes++
  if (log !== undefined) fs.writeFileSync(log, String(changes))
  if (changes === dieAt) process.kill(process.pid, 'SIGKILL')
}

const changing = ['chmod', 'cp', 'link', 'mkdir', 'rename', 'rm', 'rmdir', 'symlink', 'unlink']
for (const name of changing) {
  const original = fs.promises[name]
  fs.promises[name] = (...args) => {
    change()
    return original(...args)
  }
}
const open = fs.promises.open
fs.promises.open = async (path, flags, mode) => {
  if (flags !== 'r') change()
  const file = await open(path, flags, mode)
  for (const name of ['chmod', 'sync', 'write', 'writeFile']) {
    const original = file[name].bind(file)
    file[name] = (...args) => {
      change()
      return original(...args)
    }
  }
  return file
}
