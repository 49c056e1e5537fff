import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { addresses } from '../addresses.ts'
import type { ImageEntry } from '../images.ts'
import type { Container, VolumeMount } from '../objects.ts'
import { packageRoot } from '../paths.ts'
import type { LaunchPlan } from './container-process.ts'
import { type BindMount, layOutRoot } from './container-root.ts'
import { ContainerConfigError, containerEnv, expand } from './env-vars.ts'
import type { PodContext } from './pod-context.ts'
import { processRights } from './security.ts'

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Where a container may leave a message for its status, see {@link terminationMessage}. */
const defaultMessagePath = '/dev/termination-log'

/** A container that can be launched. */
export interface PreparedContainer extends LaunchPlan {
  /** File on the node that the container sees as its termination message. */
  messageFile: string
}

/**
 * Makes everything that a run of a container needs on this machine.
 * @param id distinguishes the runs
 * @throws ContainerConfigError
 */
export function prepareContainer(
  context: PodContext,
  container: Container,
  image: ImageEntry,
  id: string,
): PreparedContainer {
  const facts = context.facts()
  const source = context.configSource()
  context.volumes.prepare(facts, source)
  const own = containerEnv(container, facts, source)
  const env = new Map([
    ['PATH', defaultPath],
    ['HOME', '/tmp'],
    ['HOSTNAME', context.hostname()],
    ['KUBERNETES_SERVICE_HOST', addresses.apiService],
    ['KUBERNETES_SERVICE_PORT', '443'],
    ['KUBERNETES_SERVICE_PORT_HTTPS', '443'],
    ...Object.entries(image.env ?? {}),
    ...own,
  ])
  const argv = argvOf(container, image, own)
  const folder = join(context.folder, 'containers', id)
  mkdirSync(folder, { recursive: true })
  const messageFile = join(folder, 'termination-log')
  writeFileSync(messageFile, '', { mode: 0o666 })
  const root = join(folder, 'root')
  const message = { source: messageFile, target: container.terminationMessagePath ?? defaultMessagePath }
  const mounts = [
    ...(container.volumeMounts ?? []).map((mount) => bindMount(context, mount, env)),
    ...programMounts([...image.argv, ...argv.slice(0, 1)], packageRoot()),
    { ...message, readOnly: false },
  ]
  const mountTable = join(folder, 'mounts')
  writeFileSync(mountTable, layOutRoot(root, context.parts.hostView, context.etcFiles(), mounts))
  return {
    netnsPath: context.hasOwnNetwork ? context.link?.netnsPath : undefined,
    hostname: context.hostname(),
    root,
    mountTable,
    messageFile,
    workingDir: container.workingDir ?? '/',
    rights: processRights(context.pod, container),
    env,
    argv,
  }
}

/** Removes what {@link prepareContainer} made. */
export function discardContainer(plan: PreparedContainer): void {
  rmSync(dirname(plan.root), { recursive: true, force: true })
}

/** The image's command, or the container's own, followed by the container's arguments. */
export function argvOf(
  container: Pick<Container, 'name' | 'command' | 'args'>,
  image: ImageEntry,
  env: ReadonlyMap<string, string>,
): string[] {
  const command = container.command?.length ? container.command : image.argv
  const argv = [...command, ...(container.args ?? [])].map((word) => expand(word, env))
  if (argv.length === 0) {
    throw new ContainerConfigError(`container ${container.name} names no command, and neither does its image`)
  }
  return argv
}

function bindMount(context: PodContext, mount: VolumeMount, env: ReadonlyMap<string, string>): BindMount {
  const volume = context.volumes.pathOf(context.pod, mount.name)
  if (volume === undefined) throw new ContainerConfigError(`volume "${mount.name}" is not in the pod`)
  const subPath = mount.subPathExpr === undefined ? mount.subPath : expand(mount.subPathExpr, env)
  if (subPath?.split('/').includes('..')) {
    throw new ContainerConfigError(`subPath "${subPath}" must not contain '..'`)
  }
  const source = subPath ? join(volume, subPath) : volume
  if (subPath && !existsSync(source)) mkdirSync(source, { recursive: true })
  // What is made from objects cannot be changed by the container, as in Kubernetes.
  const kind = context.pod.spec.volumes?.find(({ name }) => name === mount.name)
  const isMade = kind?.emptyDir === undefined && kind?.hostPath === undefined
  return { source, target: mount.mountPath, readOnly: mount.readOnly === true || isMade }
}

/** Folders of the machine that containers do not share, although programs of images may be in them. */
const hiddenFolders = ['/tmp/', '/run/']

/**
 * Shows an image's program to its containers where they could not see it: in a folder that each container has for
 * itself, or below one that is closed to other users, such as a home folder.
 * @param words of the image's own command, and the program
 * @param packageFolder is shown as a whole, since its programs are made of several files
 */
export function programMounts(words: string[], packageFolder: string): BindMount[] {
  const files = words.filter((word) => isAbsolute(word) && existsSync(word))
  const sources = files
    .filter((file) => hiddenFolders.some((folder) => file.startsWith(folder)) || isBehindClosed(file))
    .map((file) => (file.startsWith(`${packageFolder}/`) ? packageFolder : visibleFolder(file)))
  return [...new Set(sources)].map((source) => ({
    source,
    target: source,
    readOnly: true,
    isOpenToAll: true,
  }))
}

function isBehindClosed(file: string): boolean {
  const folder = dirname(file)
  if (folder === '/') return false
  return (statSync(folder).mode & 0o001) === 0 || isBehindClosed(folder)
}

/** The folder of a program, with its siblings, or the program alone when that would show too much. */
function visibleFolder(file: string): string {
  if (statSync(file).isDirectory()) return file
  const folder = dirname(file)
  return hiddenFolders.includes(`${folder}/`) || dirname(folder) === '/' ? file : folder
}
