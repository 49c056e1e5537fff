import { existsSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { EnvReader } from '../shared/env.ts'
import { MeshError } from '../shared/errors.ts'

/** The files of one local cluster. */
export interface StatePaths {
  /** Holds everything below. */
  folder: string
  kubeconfig: string
  /** Process id of the cluster's outermost process and its start time; see `process.ts`. */
  pid: string
  images: string
  log: string
  /** Logs of containers. */
  pods: string
  /** What the daemon says about itself: JSON, see {@link DaemonStatus}. */
  status: string
}

/**
 * Where a cluster keeps its state.
 * @throws MeshError MESH_LOCAL_NAME when the name is not a DNS label
 */
export function statePaths(name: string, env: EnvReader): StatePaths {
  if (!/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name)) {
    throw new MeshError({
      code: 'MESH_LOCAL_NAME',
      kind: 'usage',
      message: `'${name}' is not a name for a cluster`,
      next: ['Use at most 40 lower-case letters, digits and hyphens, such as --name mesh'],
    })
  }
  const folder = join(stateHome(env), 'local', name)
  return {
    folder,
    kubeconfig: join(folder, 'kubeconfig'),
    pid: join(folder, 'pid'),
    images: join(folder, 'images.json'),
    log: join(folder, 'daemon.log'),
    pods: join(folder, 'pods'),
    status: join(folder, 'status.json'),
  }
}

/** `$MESH_HOME`, else `mesh` in the state folder of the XDG base directory specification. */
export function stateHome(env: EnvReader): string {
  return env('MESH_HOME') ?? join(env('XDG_STATE_HOME') ?? join(homedir(), '.local', 'state'), 'mesh')
}

/** The folder that holds `package.json`, `dist` and `target`, found from where this code runs. */
export function packageRoot(from: string = fileURLToPath(import.meta.url)): string {
  let folder = dirname(from)
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error(`no package.json above ${from}`)
    folder = parent
  }
  return folder
}

/** Where the programs of the built-in images are. They need not exist yet. */
export interface ProgramPaths {
  proxy: string
  controller: string
  shop: string
}

/** Finds the built programs relative to the package, `$MESH_PROXY_BINARY` first. */
export function programPaths(root: string, env: EnvReader): ProgramPaths {
  return {
    proxy: env('MESH_PROXY_BINARY') ?? newestProxy(root),
    controller: join(root, 'dist', 'controller.js'),
    shop: join(root, 'dist', 'shop.js'),
  }
}

/** The build that was made last: an old release build must not hide what was built for the tests since. */
function newestProxy(root: string): string {
  const builtMs = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const release = join(root, 'target', 'release', 'linkerd-proxy')
  const ci = join(root, 'target', 'ci', 'linkerd-proxy')
  return builtMs(ci) > builtMs(release) ? ci : release
}
