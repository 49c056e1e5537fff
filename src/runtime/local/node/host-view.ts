import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from '../../shared/logger.ts'
import { runTool, type Tools } from '../tools.ts'

/** The machine's folders as containers see them: read-only, without what belongs to the running system. */
export interface HostView {
  /** Where the view is mounted. */
  folder: string
  /** Names of the top-level folders in it. */
  folders: string[]
  /** Top-level symbolic links, such as `bin` → `usr/bin`. */
  links: { name: string; target: string }[]
}

/** These are made anew for each container. */
const notShared = new Set(['proc', 'run', 'tmp', 'dev', 'lost+found'])

/** Mounts the view once; containers bind its folders. Must run in a mount namespace of its own. */
export async function mountHostView(folder: string, tools: Tools, logger: Logger): Promise<HostView> {
  mkdirSync(folder, { recursive: true })
  await runTool(tools.mount, ['-t', 'tmpfs', '-o', 'mode=755', 'mesh', folder])
  const names = readdirSync('/').filter((name) => !notShared.has(name))
  const kinds = names.map((name) => ({ name, stats: lstatSync(join('/', name)) }))
  const folders = kinds.filter(({ stats }) => stats.isDirectory()).map(({ name }) => name)
  const links = kinds
    .filter(({ stats }) => stats.isSymbolicLink())
    .map(({ name }) => ({ name, target: readlinkSync(join('/', name)) }))
  for (const name of folders) mkdirSync(join(folder, name), { recursive: true })
  const table = folders.map((name) =>
    mountLine({ source: join('/', name), target: join(folder, name), type: 'none', options: 'rbind' }),
  )
  const tableFile = `${folder}.mounts`
  writeFileSync(tableFile, table.join(''))
  await runTool(tools.mount, ['-a', '-T', tableFile])
  await Promise.all(
    mountsBelow(folder, readFileSync('/proc/self/mountinfo', 'utf8')).map(({ target, flags }) => {
      const options = ['remount', 'bind', 'ro', ...flags].join(',')
      return runTool(tools.mount, ['-o', options, target]).catch((error: unknown) => {
        logger.debug({ target, reason: String(error) }, 'this folder stays writable for containers')
      })
    }),
  )
  return { folder, folders, links }
}

/** Flags that a user namespace may not take away, so they must be repeated when a mount is changed. */
const lockedFlags = new Set(['nosuid', 'nodev', 'noexec'])

/** The mounts at and in a folder, outermost first, but for those of kernel file systems. */
export function mountsBelow(folder: string, mountinfo: string): { target: string; flags: string[] }[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' '))
    .map(([, , , , target = '', options = '']) => ({ target: unescapeMount(target), options }))
    .filter(({ target }) => `${target}/`.startsWith(`${folder}/`) && !target.startsWith(`${folder}/sys/`))
    .map(({ target, options }) => ({
      target,
      flags: options.split(',').filter((flag) => lockedFlags.has(flag)),
    }))
}

/** A line of a mount table. */
export interface MountLine {
  source: string
  target: string
  type: string
  options: string
}

/** Writes a line in the form of fstab(5), where white space in paths is escaped. */
export function mountLine({ source, target, type, options }: MountLine): string {
  return `${[source, target, type, options].map(escapeMount).join(' ')} 0 0\n`
}

function escapeMount(field: string): string {
  return field.replace(/[\s\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

function unescapeMount(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
