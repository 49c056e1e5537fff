import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { loadConfig } from '../../src/runtime/cli/main.ts'

const test = suite('commands/flags')
const root = fileURLToPath(new URL('../../', import.meta.url))
const file = fileURLToPath(new URL('../snapshots/flags.json', import.meta.url))

/**
 * Commands, flags and exit codes are a stable interface. One command renews the record:
 * `MESH_UPDATE_GOLDEN=1 node --import tsx test/commands/flags.test.ts`.
 */
test('commands and flags are as recorded', async () => {
  const config = await loadConfig({ packageRoot: root, from: 'src' })
  const snapshot = Object.fromEntries(
    config.commands
      .map(({ id, args, flags, aliases, hidden }) => [
        id.replaceAll(':', ' '),
        {
          ...(aliases.length === 0 ? {} : { aliases }),
          ...(hidden === true ? { hidden } : {}),
          args: Object.entries(args).map(([name, { required }]) => `${name}${required === true ? '' : '?'}`),
          flags: Object.fromEntries(
            Object.entries(flags)
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([name, flag]) => [name, describeFlag(flag)]),
          ),
        },
      ])
      .sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)),
  )
  const text = `${JSON.stringify(snapshot, undefined, 2)}\n`
  if (process.env.MESH_UPDATE_GOLDEN === '1') writeFileSync(file, text)
  assert.ok(existsSync(file), `there is no ${file}; renew it with MESH_UPDATE_GOLDEN=1`)
  assert.fixture(text, readFileSync(file, 'utf8'))
})

/** One line: type, short form, values, default, environment. */
function describeFlag(flag: object): string {
  const { type, char, options, multiple, env, required } = flag as {
    type: string
    char?: string
    options?: string[]
    default?: unknown
    multiple?: boolean
    env?: string
    required?: boolean
  }
  const standard = 'default' in flag && typeof flag.default !== 'function' ? flag.default : undefined
  return [
    type,
    ...(char === undefined ? [] : [`-${char}`]),
    ...(options === undefined ? [] : [options.join('|')]),
    ...(standard === undefined ? [] : [`default ${String(standard)}`]),
    ...(multiple === true ? ['repeatable'] : []),
    ...(required === true ? ['required'] : []),
    ...(env === undefined ? [] : [`$${env}`]),
  ].join(', ')
}

test('a flag means the same in every command, and short forms do not clash', async () => {
  const config = await loadConfig({ packageRoot: root, from: 'src' })
  const meaning = new Map<string, string>()
  for (const { id, flags } of config.commands) {
    for (const [name, { char }] of Object.entries(flags)) {
      if (char === undefined || ['f'].includes(char)) continue
      const known = meaning.get(char)
      assert.ok(known === undefined || known === name, `-${char} is --${known}, but --${name} in ${id}`)
      meaning.set(char, name)
    }
  }
})

test.run()
