/** Reads one environment variable; tests pass a map. */
export type EnvReader = (name: string) => string | undefined

/** The process environment. Nothing else reads `process.env`. An empty variable counts as unset. */
export const processEnv: EnvReader = (name) => process.env[name] || undefined

/** A copy of the whole environment, for a child process. */
export function inheritedEnv(): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  )
  return Object.fromEntries(entries)
}
