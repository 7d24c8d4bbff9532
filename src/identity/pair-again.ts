/** The hint for an identity that only a new pairing can replace: its certificate has expired or been revoked, or its files are damaged. */
export function pairAgain(profile: string): string {
  return `pair again with a new token URL: kyconnect pair --force --profile ${profile} --url -`
}
