/** One violation of the schema, as ajv reports it without messages. */
export interface SchemaViolation {
  /** A JSON pointer to the value. */
  readonly instancePath: string
  readonly schemaPath: string
  readonly keyword: string
  readonly params: Readonly<Record<string, unknown>>
}

/**
 * Checks a value against schema/service.schema.json, and leaves the violations in `errors`. build.js compiles it with ajv:
 * loading ajv itself and compiling the schema would take longer than reading 500 files.
 */
export const validateService: {
  (value: unknown): boolean
  readonly errors?: readonly SchemaViolation[] | null
}
