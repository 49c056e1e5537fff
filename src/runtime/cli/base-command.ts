import { Command, Flags } from '@oclif/core'
import { processEnv } from '../shared/env.ts'
import { exitCodeOf } from '../shared/exit-codes.ts'
import { renderError, renderErrorJson, toMeshError } from './errors.ts'
import { Output } from './output.ts'

/** Whether the words of a command line ask for JSON: errors are then JSON too. */
export function asksForJson(argv: readonly string[]): boolean {
  return argv.some((word, index) => {
    if (word === '-o' || word === '--output') return argv[index + 1] === 'json'
    return word === '-ojson' || word === '-o=json' || word === '--output=json'
  })
}

/**
 * What every command is built on. A command parses its flags, calls the action of its name and prints the result
 * through {@link BaseCommand.output}; it throws `MeshError`, which is shown here, once, and chooses the exit code.
 */
export abstract class BaseCommand extends Command {
  static override baseFlags = {
    verbose: Flags.boolean({ description: 'Say more on standard error', helpGroup: 'GLOBAL' }),
  }

  protected readonly output = new Output(
    process.stdout,
    process.stderr,
    processEnv('NO_COLOR') !== undefined || processEnv('TERM') === 'dumb',
  )

  /** Ends with this exit code once the output is written; for results that are not errors, such as a failed check. */
  protected exitWith(code: number): void {
    process.exitCode = code
  }

  /** Shows the error on standard error and sets the exit code; nothing is thrown further. */
  protected override async catch(thrown: Error): Promise<void> {
    const error = toMeshError(thrown, {
      command: `${this.config.bin} ${(this.id ?? '').replaceAll(':', ' ')}`.trim(),
      flagNames: Object.keys({ ...this.ctor.baseFlags, ...this.ctor.flags }),
    })
    const stack = this.argv.includes('--verbose')
    const text = asksForJson(this.argv)
      ? renderErrorJson(error)
      : renderError(error, { colour: this.output.colour && process.stderr.isTTY === true, stack })
    process.stderr.write(text)
    process.exitCode = exitCodeOf(error.kind)
  }
}
