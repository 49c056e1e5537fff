import type { Command } from '@oclif/core'

/** A command as completion knows it. */
export interface CompletedCommand {
  /** Words, such as `viz stat`. */
  name: string
  summary: string
  flags: { name: string; char?: string; takesValue: boolean; options?: readonly string[]; summary: string }[]
}

/** The commands to complete; hidden ones are not. */
export function completedCommands(commands: readonly Command.Loadable[]): CompletedCommand[] {
  return commands
    .filter(({ hidden }) => hidden !== true)
    .map(({ id, summary = '', flags }) => ({
      name: id.replaceAll(':', ' '),
      summary,
      flags: Object.values(flags).map((flag) => ({
        name: flag.name,
        summary: flag.summary ?? flag.description ?? '',
        takesValue: flag.type === 'option',
        ...(flag.char === undefined ? {} : { char: flag.char }),
        ...(flag.type === 'option' && flag.options !== undefined ? { options: flag.options } : {}),
      })),
    }))
}

/** Shells that there are scripts for. */
export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** What may follow each sequence of command words: further words, then flags. */
function candidates(commands: readonly CompletedCommand[]): Map<string, string[]> {
  const following = new Map<string, Set<string>>()
  const add = (path: string, word: string) => {
    const words = following.get(path) ?? new Set()
    following.set(path, words.add(word))
  }
  for (const { name } of commands) {
    const words = name.split(' ')
    for (const [index, word] of words.entries()) add(words.slice(0, index).join(' '), word)
  }
  for (const { name, flags } of commands) {
    for (const flag of flags) add(name, `--${flag.name}`)
  }
  return new Map([...following].map(([path, words]) => [path, [...words].sort()]))
}

/** Words in single quotes for a POSIX shell. */
function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function valueCases(commands: readonly CompletedCommand[]): string {
  const options = new Map<string, Set<string>>()
  for (const { flags } of commands) {
    for (const { name, char, options: values = [] } of flags) {
      if (values.length === 0) continue
      const key = char === undefined ? `--${name}` : `--${name}|-${char}`
      const known = options.get(key) ?? new Set()
      for (const value of values) known.add(value)
      options.set(key, known)
    }
  }
  return [...options]
    .map(
      ([key, values]) =>
        `    ${key}) COMPREPLY=($(compgen -W ${shellQuoted([...values].join(' '))} -- "$cur")); return ;;\n`,
    )
    .join('')
}

function bashScript(bin: string, commands: readonly CompletedCommand[]): string {
  const cases = [...candidates(commands)]
    .map(([path, words]) => `    ${shellQuoted(path)}) echo ${shellQuoted(words.join(' '))} ;;\n`)
    .join('')
  return `# Completion of ${bin} for bash:  source <(${bin} completion bash)
_${bin}_words() {
  case "$1" in
${cases}  esac
}

_${bin}() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" path="" word i
  case "$prev" in
${valueCases(commands)}  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if [[ -n "$(_${bin}_words "\${path:+$path }$word")" ]]; then path="\${path:+$path }$word"; fi
  done
  COMPREPLY=($(compgen -W "$(_${bin}_words "$path")" -- "$cur"))
  if [[ \${#COMPREPLY[@]} -eq 0 ]]; then COMPREPLY=($(compgen -f -- "$cur")); fi
}

complete -o filenames -F _${bin} ${bin}
`
}

function fishScript(bin: string, commands: readonly CompletedCommand[]): string {
  const lines = [`# Completion of ${bin} for fish:  ${bin} completion fish | source`, `complete -c ${bin} -f`]
  for (const { name, summary, flags } of commands) {
    const words = name.split(' ')
    const last = words.at(-1) ?? ''
    const before = words.slice(0, -1)
    const place =
      before.length === 0 ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${before.join(' ')}`
    lines.push(`complete -c ${bin} -n ${shellQuoted(place)} -a ${last} -d ${shellQuoted(summary)}`)
    const own = words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ')
    for (const flag of flags) {
      const short = flag.char === undefined ? '' : ` -s ${flag.char}`
      const values = flag.options === undefined ? '' : ` -a ${shellQuoted(flag.options.join(' '))}`
      const value = flag.takesValue ? ' -r' : ''
      lines.push(
        `complete -c ${bin} -n ${shellQuoted(own)} -l ${flag.name}${short}${value}${values} -d ${shellQuoted(flag.summary)}`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

/** A script that completes commands, flags and their values; it starts no program while it does. */
export function completionScript(shell: Shell, bin: string, commands: readonly CompletedCommand[]): string {
  const sorted = commands.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  switch (shell) {
    case 'bash':
      return bashScript(bin, sorted)
    case 'zsh':
      return `#compdef ${bin}\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(bin, sorted)}`
    case 'fish':
      return fishScript(bin, sorted)
  }
}
