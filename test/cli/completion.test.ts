import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type CompletedCommand, completionScript } from '../../src/runtime/cli/completion.ts'

const test = suite('cli/completion')
const folder = mkdtempSync(path.join(tmpdir(), 'mesh-completion-'))

test.after(() => rmSync(folder, { recursive: true }))

const commands: CompletedCommand[] = [
  {
    name: 'viz stat',
    summary: "Don't panic",
    flags: [
      { name: 'output', char: 'o', takesValue: true, options: ['table', 'json'], summary: 'Format' },
      { name: 'namespace', char: 'n', takesValue: true, summary: 'Namespace' },
    ],
  },
  { name: 'viz tap', summary: 'Tap', flags: [] },
  { name: 'install', summary: 'Install', flags: [{ name: 'crds', takesValue: false, summary: 'CRDs' }] },
]

/** What bash offers for the words, the last of which is being typed. */
function offered(...words: string[]): string[] {
  const file = path.join(folder, 'mesh.bash')
  writeFileSync(file, completionScript('bash', 'mesh', commands))
  const script = `source ${file}; COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _mesh; printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['-c', script, 'bash', ...words], { cwd: folder, encoding: 'utf8' })
    .split('\n')
    .filter(Boolean)
}

test('bash is offered commands, subcommands, flags and their values', () => {
  assert.equal(offered('mesh', ''), ['install', 'viz'])
  assert.equal(offered('mesh', 'in'), ['install'])
  assert.equal(offered('mesh', 'viz', 't'), ['tap'])
  assert.equal(offered('mesh', 'viz', 'stat', '--'), ['--namespace', '--output'])
  assert.equal(offered('mesh', 'viz', 'stat', '-o', ''), ['table', 'json'])
  assert.equal(offered('mesh', 'viz', 'stat', '--output', 'j'), ['json'])
  assert.equal(offered('mesh', '--verbose', 'install', '--c'), ['--crds'])
})

test('what is no command is offered files', () => {
  writeFileSync(path.join(folder, 'values.yaml'), '')
  assert.equal(offered('mesh', 'install', '-f', 'val'), ['values.yaml'])
})

test('zsh uses the same, fish has its own', () => {
  assert.match(completionScript('zsh', 'mesh', commands), /^#compdef mesh\nautoload -U \+X bashcompinit/)
  const fish = completionScript('fish', 'mesh', commands)
  assert.match(fish, "complete -c mesh -n '__fish_seen_subcommand_from viz' -a stat -d 'Don'\\''t panic'")
  assert.match(fish, / -l output -s o -r -a 'table json'/)
})

test.run()
