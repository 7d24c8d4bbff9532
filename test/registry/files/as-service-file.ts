const secretFields = new Set(['username', 'password', 'clientId', 'clientSecret'])

/**
 * A definition as it is on the wire, as the text of a service file in JSON: with an identifier, and with references in place of secrets
 * that are texts with something in them.
 */
export function asServiceFile(definition: unknown, identifier: string): string {
  if (typeof definition !== 'object' || definition === null || Array.isArray(definition))
    return JSON.stringify(definition)
  return JSON.stringify({ identifier, ...definition }, (name, value: unknown) =>
    secretFields.has(name) && typeof value === 'string' && value !== '' ? '${env:KYCONNECT_SECRET_X}' : value,
  )
}
