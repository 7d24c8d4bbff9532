/** JSON text of a value, as it was written: numbers beyond 2^53 stay what they are. */
export class RawJson {
  /** @param text valid JSON */
  constructor(readonly text: string) {}
}

/** A secret that a credential field names and does not hold. */
export class SecretReference {
  constructor(
    readonly source:
      | { readonly kind: 'environment'; readonly variable: string }
      /** The path is relative to the folder, which is the real one of the service file. The file may not exist on this machine. */
      | { readonly kind: 'file'; readonly folder: string; readonly path: string },
    /** As it is written in the service file: `${env:KYCONNECT_SECRET_SHOP}`. */
    readonly text: string,
  ) {}
}

/** A JSON value with secrets that are not resolved yet. */
export type Content =
  | null
  | boolean
  | number
  | string
  | RawJson
  | SecretReference
  | readonly Content[]
  | { readonly [field: string]: Content }
