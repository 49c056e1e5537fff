import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Config, Plugin, run, settings } from '@oclif/core'
import { processEnv } from '../shared/env.ts'
import { MeshError } from '../shared/errors.ts'
import { exitCodeOf } from '../shared/exit-codes.ts'
import { nearest } from '../shared/nearest.ts'
import { asksForJson } from './base-command.ts'
import { renderError, renderErrorJson, toMeshError } from './errors.ts'

/** Where commands are loaded from. */
export interface CliSource {
  /** Folder of `package.json`. */
  packageRoot: string
  /** `src` when run from its sources (development, tests): commands are TypeScript and no manifest is read. */
  from: 'dist' | 'src'
}

/**
 * Runs one command line. Errors before a command is known, such as a mistyped name, are shown here; those of a
 * command by its base class. The exit code is left in `process.exitCode`.
 * @param argv words after the program's name
 */
export async function runCli(argv: string[], source: CliSource): Promise<void> {
  try {
    const config = await loadConfig(source)
    const found = findCommand(argv, config)
    // oclif takes care of help, and of topics, which show their help.
    if (found === undefined || asksForHelp(found.rest))
      await run(found === undefined ? argv : helpOf(found.id), config)
    else await config.runCommand(found.id, found.rest)
  } catch (thrown) {
    showError(thrown, argv)
  }
}

/** oclif's configuration: the list of commands with their flags. */
export async function loadConfig(source: CliSource): Promise<Config> {
  settings.enableAutoTranspile = false
  const root = source.packageRoot
  if (source.from === 'dist') return await Config.load({ root })
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  pjson.oclif.commands.target = './src/commands'
  const plugin = new Plugin({ root, isRoot: true, pjson, ignoreManifest: true })
  await plugin.load()
  const config = new Config({ root, plugins: new Map([[plugin.name, plugin]]) })
  await config.load()
  return config
}

/**
 * The command that the leading words name; none for help, a topic alone, or flags alone. The longest name wins, and
 * what follows it are arguments.
 * @throws MeshError `MESH_USAGE_UNKNOWN_COMMAND` with the nearest name
 */
function findCommand(argv: readonly string[], config: Config): { id: string; rest: string[] } | undefined {
  const end = argv.findIndex((word) => word.startsWith('-'))
  const words = end === -1 ? argv : argv.slice(0, end)
  const [first] = words
  if (first === undefined || first === 'help') return undefined
  for (let count = words.length; count > 0; count--) {
    const id = words.slice(0, count).join(':')
    if (config.findCommand(id) !== undefined) return { id, rest: argv.slice(count) }
    if (config.findTopic(id) === undefined) continue
    if (count === words.length) return undefined
    throw unknownCommand(words.slice(0, count + 1).join(' '), commandNames(config))
  }
  throw unknownCommand(first, commandNames(config))
}

function asksForHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return (end === -1 ? words : words.slice(0, end)).includes('--help')
}

function helpOf(id: string): string[] {
  return [...id.split(':'), '--help']
}

function commandNames(config: Config): string[] {
  return config.commands
    .filter((command) => !command.hidden)
    .map((command) => command.id.replaceAll(':', ' '))
}

function unknownCommand(name: string, names: readonly string[]): MeshError {
  const suggestion = nearest(name, names)
  return new MeshError({
    code: 'MESH_USAGE_UNKNOWN_COMMAND',
    kind: 'usage',
    message: `unknown command ${JSON.stringify(name)}`,
    next:
      suggestion === undefined
        ? ['See: mesh --help']
        : [`Did you mean: mesh ${suggestion}?`, 'See: mesh --help'],
  })
}

function showError(thrown: unknown, argv: readonly string[]): void {
  if (isPlannedExit(thrown)) {
    process.exitCode = thrown.oclif.exit
    return
  }
  const error = toMeshError(thrown, { command: 'mesh', flagNames: [] })
  const colour = process.stderr.isTTY === true && processEnv('NO_COLOR') === undefined
  process.stderr.write(
    asksForJson(argv)
      ? renderErrorJson(error)
      : renderError(error, { colour, stack: argv.includes('--verbose') }),
  )
  process.exitCode = exitCodeOf(error.kind)
}

/** oclif ends `--help` and `--version` by throwing. */
function isPlannedExit(thrown: unknown): thrown is { oclif: { exit: number } } {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIT' && 'oclif' in thrown
}
