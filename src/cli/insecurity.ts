import type { Progress } from '../pairing/progress.js'

/** Said each time, and loudly: who does not check the server's certificate may be talking to anybody. */
export function warnOfInsecurity(insecureNow: boolean, pairedInsecurely: boolean, progress: Progress): void {
  if (insecureNow) {
    progress.warn(
      "--insecure: THE SERVER'S CERTIFICATE IS NOT CHECKED; whoever answers can read all and pose as the cluster",
    )
  }
  if (pairedInsecurely) {
    progress.warn('this identity was paired with --insecure: nobody has verified the cluster it is from')
  }
}
