import { run } from './kyconnect.js'

/** Mounts a new file system of so many kilobytes on a folder, for a test to fill. */
export async function mountSmallDisk(folder: string, kilobytes: number): Promise<{ unmount: () => Promise<void> }> {
  await asRoot('mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k,mode=0777`, 'tmpfs', folder])
  return { unmount: () => asRoot('umount', ['-l', folder]) }
}

/** Root, or sudo where it does not ask. */
async function asRoot(command: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await (process.getuid?.() === 0 ? run(command, args) : run('sudo', ['-n', command, ...args]))
  if (code !== 0)
    throw new Error(
      `the test needs to mount a small disk: run it as root, or let sudo work without a password (${stderr.trim()})`,
    )
}
