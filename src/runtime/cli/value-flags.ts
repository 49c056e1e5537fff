import { Flags } from '@oclif/core'

/** How values are given: Helm's flags with Helm's grammar. */
export const valueSourceFlags = {
  values: Flags.string({
    char: 'f',
    description: 'YAML file of values, - for standard input; repeatable, the last wins',
    multiple: true,
    helpGroup: 'VALUE',
  }),
  set: Flags.string({ description: 'KEY=VALUE; repeatable', multiple: true, helpGroup: 'VALUE' }),
  'set-string': Flags.string({
    description: 'KEY=VALUE where the value is text',
    multiple: true,
    helpGroup: 'VALUE',
  }),
  'set-file': Flags.string({
    description: 'KEY=PATH where the value is the text of a file',
    multiple: true,
    helpGroup: 'VALUE',
  }),
  registry: Flags.string({
    description: 'Registry of both images, such as ghcr.io/acme/mesh',
    env: 'MESH_REGISTRY',
    helpGroup: 'VALUE',
  }),
}

/** One flag for each value that has a flag of its own; see `src/runtime/actions/value-flags.ts`. */
export function namedValueFlags(
  definitions: readonly { name: string; kind: string; description: string }[],
): Record<string, ReturnType<typeof namedValueFlag>> {
  return Object.fromEntries(definitions.map((definition) => [definition.name, namedValueFlag(definition)]))
}

function namedValueFlag({ kind, description }: { kind: string; description: string }) {
  const options = { description, helpGroup: 'VALUE' }
  if (kind === 'number') return Flags.integer(options)
  if (kind === 'text') return Flags.string(options)
  return Flags.boolean(options)
}

/** What {@link valueSourceFlags} were parsed to. */
export interface ValueSourceFlagValues {
  values?: string[] | undefined
  set?: string[] | undefined
  'set-string'?: string[] | undefined
  'set-file'?: string[] | undefined
  registry?: string | undefined
}

/** The same under the names that `resolveValues` has; what was not given is left out. */
export function valueSourcesFrom(flags: ValueSourceFlagValues): {
  files: string[]
  set: string[]
  setString: string[]
  setFile: string[]
  registry?: string
} {
  return {
    files: flags.values ?? [],
    set: flags.set ?? [],
    setString: flags['set-string'] ?? [],
    setFile: flags['set-file'] ?? [],
    ...(flags.registry === undefined ? {} : { registry: flags.registry }),
  }
}
