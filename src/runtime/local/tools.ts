import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { MeshError } from '../shared/errors.ts'

/** The programs of the machine that the local cluster is made with, and the Debian packages they come from. */
const packagesOfTools = {
  env: 'coreutils',
  hostname: 'hostname',
  ip: 'iproute2',
  mount: 'mount',
  nft: 'nftables',
  nsenter: 'util-linux',
  pivot_root: 'util-linux',
  setpriv: 'util-linux',
  sh: 'dash',
  umount: 'mount',
  unshare: 'util-linux',
} as const

export type ToolName = keyof typeof packagesOfTools

/** Absolute paths of the tools. */
export type Tools = Record<ToolName, string>

/** Searched after `PATH`, because a plain user's `PATH` often lacks the folders of system programs. */
const systemFolders = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']

/**
 * Finds all tools.
 * @param path the value of `PATH`
 * @throws MeshError MESH_LOCAL_TOOLS that names every missing package
 */
export function findTools(path: string | undefined): Tools {
  const folders = [...(path ?? '').split(delimiter).filter((folder) => folder !== ''), ...systemFolders]
  const names = Object.keys(packagesOfTools) as ToolName[]
  const found = names.map((name) => [name, findProgram(name, folders)] as const)
  const missing = found.filter(([, program]) => program === undefined).map(([name]) => name)
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((name) => packagesOfTools[name]))].sort()
    throw new MeshError({
      code: 'MESH_LOCAL_TOOLS',
      kind: 'environment',
      message: `The local cluster needs programs that are not installed: ${missing.join(', ')}`,
      next: [`On Debian or Ubuntu: sudo apt-get install ${packages.join(' ')}`],
    })
  }
  return Object.fromEntries(found) as Tools
}

function findProgram(name: string, folders: string[]): string | undefined {
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Runs a tool to its end.
 * @param input written to its standard input
 * @returns its standard output
 * @throws Error with its standard error when it fails
 */
export function runTool(program: string, args: string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.stdin.on('error', () => undefined)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout)
      else reject(new Error(`${program} ${args.join(' ')} failed (${signal ?? code}): ${stderr.trim()}`))
    })
    child.stdin.end(input)
  })
}
