import { Ajv, type ErrorObject } from 'ajv'
import { readTemplateFile } from './files.ts'

// Programs that are bundled have the schema compiled ahead of time; see bin/build.ts.

let validate: ReturnType<Ajv['compile']> | undefined

/** What of the values is not as `values.schema.json` says; nothing when all of it is. */
export function schemaProblems(input: unknown): ErrorObject[] {
  validate ??= new Ajv({ allErrors: true }).compile(JSON.parse(readTemplateFile('values.schema.json')))
  return validate(input) ? [] : (validate.errors ?? [])
}
