import type { SandboxReady } from '../../../sandbox/sandbox.js'
import { shellWord } from '../../../shell-word.js'

/** The guide that a person on a terminal reads: the environment for another terminal, and the next commands. */
export function sandboxGuide({ env, tokenUrls, internalUrl, central }: SandboxReady, tokenTtlSeconds: number): string {
  const [app, tokenUrl] = Object.entries(tokenUrls)[0] ?? []
  const exports = Object.entries(env).map(([name, value]) => `  export ${name}=${shellWord(value)}`)
  const owner =
    central === undefined ? '' : ` --tenant ${shellWord(central.tenant)} --group ${shellWord(central.group)}`
  const headers = central === undefined ? '' : ` -H 'Tenant: ${central.tenant}' -H 'Group: ${central.group}'`
  const pairing =
    app === undefined || tokenUrl === undefined
      ? []
      : [
          `Pair the App ${app} within ${tokenTtlSeconds} s, then look at it:`,
          '',
          `  echo ${shellWord(tokenUrl)} | kyconnect pair --url -`,
          '  kyconnect info',
          '',
          'The token URL works once. Pair again without one, or get another:',
          '',
          `  kyconnect pair --app ${app}${owner} --profile again`,
          `  curl -X POST -H 'Application: ${app}'${headers} ${internalUrl}/v1/applications/tokens`,
          '',
        ]
  return [
    'A local Kyma is running. Ctrl-C ends it.',
    '',
    'In another terminal, point kyconnect and kubectl at it:',
    '',
    ...exports,
    '',
    ...pairing,
  ].join('\n')
}
