#!/usr/bin/env node
// The production entry. Version and help are answered from files that the build wrote: nothing is imported for them.
import { readFileSync } from 'node:fs'

/** @type {string[]} */
const argv = process.argv.slice(2)
const dist = new URL('../dist/', import.meta.url)

/** The text of a file, or nothing when it is not there. */
function textOf(url) {
  try {
    return readFileSync(url, 'utf8')
  } catch {
    return undefined
  }
}

/** The answer to `--version`, `completion SHELL`, `--help`, `help X` and `X --help`, when the build prepared it. */
function preparedAnswer() {
  if (argv.length === 1 && argv[0] === '--version') return textOf(new URL('version.txt', dist))
  if (argv.length === 2 && argv[0] === 'completion' && /^[a-z]+$/.test(`${argv[1]}`)) {
    return textOf(new URL(`completion/${argv[1]}.txt`, dist))
  }
  const isHelp = argv.length === 0 || argv[0] === 'help' || argv.at(-1) === '--help' || argv.at(-1) === '-h'
  if (!isHelp) return undefined
  const words = argv.filter(
    (word, index) => !(index === 0 && word === 'help') && word !== '--help' && word !== '-h',
  )
  if (!words.every((word) => /^[a-z][a-z0-9-]*$/.test(`${word}`))) return undefined
  return textOf(new URL(`help/${words.join('/') || 'mesh'}.txt`, dist))
}

/** Ends once everything written has left the process. */
function end() {
  process.stdout.write('', () => process.stderr.write('', () => process.exit()))
}

process.stdout.on('error', (error) => {
  // The reader, such as `head`, has gone.
  if (error.code === 'EPIPE') process.exit()
  throw error
})

const answer = preparedAnswer()
if (answer === undefined) {
  const { runCli } = await import(new URL('cli.js', dist).href)
  await runCli(argv, { packageRoot: new URL('..', import.meta.url).pathname, from: 'dist' })
} else {
  process.stdout.write(answer)
}
end()
