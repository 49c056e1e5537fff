import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { type HostView, type MountLine, mountLine } from './host-view.ts'

/** A folder or file of the node that a container sees under another path. */
export interface BindMount {
  source: string
  /** Absolute path in the container. */
  target: string
  readOnly: boolean
  /** Make it reachable for every user, also when a folder above it is closed to others. */
  isOpenToAll?: boolean
}

/** The container's own files in `/etc`. */
export interface EtcFiles {
  hostname: string
  hosts: string
  'resolv.conf': string
}

/** Where the host view is inside a container. */
const hostFolder = '/.host'
const devices = ['null', 'zero', 'full', 'random', 'urandom', 'tty']
const deviceLinks = {
  fd: '/proc/self/fd',
  stdin: '/proc/self/fd/0',
  stdout: '/proc/self/fd/1',
  stderr: '/proc/self/fd/2',
  ptmx: 'pts/ptmx',
}
const maxLinks = 40

/**
 * Lays out the root of a container in a folder and writes the table of its mounts, which a shell loads with
 * `mount -a` inside the container's mount namespace. Folders that only this container has (`/tmp`, `/run`, `/etc`,
 * `/dev`) are real ones in the root; all others are bound from the host view.
 *
 * A mount point that does not exist on the machine is made by replacing its nearest existing parent by a folder of
 * links to the parent's entries, so that nothing is ever created on the machine itself.
 * @returns the mount table
 */
export function layOutRoot(root: string, host: HostView, etc: EtcFiles, mounts: BindMount[]): string {
  const layout = new RootLayout(root, host)
  layout.addSystem(etc)
  const byDepth = [...mounts].sort((left, right) => depthOf(left.target) - depthOf(right.target))
  layout.makeRoomFor(byDepth)
  for (const mount of byDepth) layout.bind(mount)
  return layout.table()
}

function depthOf(path: string): number {
  return resolve(path).split('/').length
}

/** A folder that the container sees, by its real place. */
interface Place {
  real: string
  /** Whether entries may be made in it. */
  isOwn: boolean
}

class RootLayout {
  readonly #root: string
  readonly #host: HostView
  readonly #lines: MountLine[] = []
  /** What is mounted where, by path in the container. */
  readonly #mounted = new Map<string, Place>()
  #shadows = 0

  constructor(root: string, host: HostView) {
    this.#root = root
    this.#host = host
    mkdirSync(root, { recursive: true, mode: 0o755 })
    this.#mount({ source: root, target: '/', type: 'none', options: 'bind' })
  }

  addSystem(etc: EtcFiles): void {
    for (const name of this.#host.folders) {
      mkdirSync(this.#at(`/${name}`))
      if (name !== 'etc') this.#bindHost(`/${name}`, join(this.#host.folder, name))
    }
    for (const { name, target } of this.#host.links) symlinkSync(target, this.#at(`/${name}`))
    mkdirSync(this.#at(hostFolder))
    this.#bindHost(hostFolder, this.#host.folder)
    for (const name of ['/run', '/tmp', '/proc']) mkdirSync(this.#at(name))
    // The umask would take the bits away from mkdir.
    chmodSync(this.#at('/tmp'), 0o1777)
    this.#mount({ source: 'proc', target: '/proc', type: 'proc', options: 'nosuid,nodev,noexec' })
    this.#addDevices()
    this.#addEtc(etc)
  }

  #addDevices(): void {
    mkdirSync(this.#at('/dev'))
    for (const name of devices.filter((device) => existsSync(`/dev/${device}`))) {
      writeFileSync(this.#at(`/dev/${name}`), '')
      this.#mount({ source: `/dev/${name}`, target: `/dev/${name}`, type: 'none', options: 'bind' })
    }
    for (const [name, target] of Object.entries(deviceLinks)) symlinkSync(target, this.#at(`/dev/${name}`))
    for (const name of ['/dev/pts', '/dev/shm']) mkdirSync(this.#at(name))
    const terminals = 'newinstance,ptmxmode=0666,mode=0620'
    this.#mount({ source: 'devpts', target: '/dev/pts', type: 'devpts', options: terminals })
    this.#mount({ source: 'shm', target: '/dev/shm', type: 'tmpfs', options: 'nosuid,nodev,mode=1777' })
  }

  #addEtc(etc: EtcFiles): void {
    const own = new Set(Object.keys(etc))
    this.#linkEntries(join(this.#host.folder, 'etc'), this.#at('/etc'), own)
    for (const [name, text] of Object.entries<string>({ ...etc }))
      writeFileSync(this.#at(`/etc/${name}`), text)
  }

  /**
   * Makes every mount point, until no folder has to be replaced any more: a folder that is replaced hides what was
   * made below it before.
   */
  makeRoomFor(mounts: BindMount[]): void {
    let before: number
    do {
      before = this.#shadows
      for (const mount of mounts) this.#locate(mount)
    } while (this.#shadows > before)
  }

  bind(mount: BindMount): void {
    const { source, readOnly } = mount
    const { path } = this.#locate(mount)
    // Recursive, because a host path may hold other mounts.
    const options = readOnly ? 'rbind,ro' : 'rbind'
    this.#mount({ source, target: path, type: 'none', options })
    this.#mounted.set(path, { real: source, isOwn: true })
  }

  table(): string {
    return this.#lines.map(mountLine).join('')
  }

  /** Follows a path as the container will, through mounts and links, and makes what is missing. */
  #locate({ source, target: mountPoint, isOpenToAll }: BindMount): { path: string; place: Place } {
    const kind = kindOf(source)
    let pending = resolve(mountPoint).split('/').filter(Boolean)
    let here = '/'
    let place: Place = { real: this.#root, isOwn: true }
    for (let links = 0; pending.length > 0; ) {
      const [name = '', ...rest] = pending
      const next = join(here, name)
      const entry = join(place.real, name)
      const mounted = this.#mounted.get(next)
      if (isOpenToAll && place.isOwn && mounted === undefined) this.#expandLink(entry, rest.length === 0)
      const stats = mounted === undefined ? statsOf(entry) : undefined
      if (stats?.isSymbolicLink() && links++ < maxLinks) {
        pending = [...resolve(here, readlinkSync(entry)).split('/').filter(Boolean), ...rest]
        here = '/'
        place = { real: this.#root, isOwn: true }
        continue
      }
      if (mounted === undefined && stats === undefined) {
        place = this.#withEntry(here, place, name, rest.length === 0 ? kind : 'folder')
      }
      place = mounted ?? { real: join(place.real, name), isOwn: place.isOwn }
      if (isOpenToAll) place = this.#opened(next, place)
      here = next
      pending = rest
    }
    return { path: here, place }
  }

  /** Makes an entry in a folder, which must be an own one for that. */
  #withEntry(path: string, place: Place, name: string, kind: 'folder' | 'file'): Place {
    const own = place.isOwn ? place : this.#shadow(path, place)
    makeEntry(join(own.real, name), kind)
    return own
  }

  /** Replaces a folder of the machine by one of links to its entries. */
  #shadow(path: string, place: Place): Place {
    const real = `${this.#root}.shadow${this.#shadows++}`
    mkdirSync(real)
    this.#linkEntries(place.real, real, new Set())
    this.#forgetBelow(path)
    this.#mount({ source: real, target: path, type: 'none', options: 'bind' })
    const shadow = { real, isOwn: true }
    this.#mounted.set(path, shadow)
    return shadow
  }

  #opened(path: string, place: Place): Place {
    return !place.isOwn && isClosed(place.real) ? this.#shadow(path, place) : place
  }

  /** Replaces a link of ours by what it leads to: a folder of links, or an empty entry to mount on. */
  #expandLink(link: string, isLast: boolean): void {
    if (!statsOf(link)?.isSymbolicLink()) return
    const target = readlinkSync(link)
    if (!target.startsWith(`${hostFolder}/`)) return
    const real = join(this.#host.folder, target.slice(hostFolder.length))
    const stats = statsOf(real)
    rmSync(link)
    if (stats?.isSymbolicLink()) symlinkSync(readlinkSync(real), link)
    else makeEntry(link, stats?.isDirectory() ? 'folder' : 'file')
    if (stats?.isDirectory() && !isLast) this.#linkEntries(real, link, new Set())
  }

  #forgetBelow(path: string): void {
    const below = [...this.#mounted.keys()].filter((mounted) => mounted.startsWith(`${path}/`))
    for (const mounted of below) {
      this.#mounted.delete(mounted)
      const line = this.#lines.findIndex(({ target }) => target === this.#at(mounted))
      this.#lines.splice(line, 1)
    }
  }

  #linkEntries(from: string, to: string, without: Set<string>): void {
    const inContainer = join(hostFolder, from.slice(this.#host.folder.length))
    for (const name of readdirSync(from)) {
      if (!without.has(name)) symlinkSync(join(inContainer, name), join(to, name))
    }
  }

  #bindHost(target: string, source: string): void {
    this.#mount({ source, target, type: 'none', options: 'rbind' })
    this.#mounted.set(target, { real: source, isOwn: false })
  }

  #mount(line: MountLine): void {
    this.#lines.push({ ...line, target: this.#at(line.target) })
  }

  #at(path: string): string {
    return path === '/' ? this.#root : join(this.#root, path)
  }
}

function kindOf(source: string): 'folder' | 'file' {
  return statSync(source).isDirectory() ? 'folder' : 'file'
}

/** Whether others than the owner and its group cannot go through a folder. */
function isClosed(path: string): boolean {
  const stats = statsOf(path)
  return stats?.isDirectory() === true && (stats.mode & 0o001) === 0
}

function makeEntry(path: string, kind: 'folder' | 'file'): void {
  if (kind === 'folder') mkdirSync(path)
  else writeFileSync(path, '')
}

function statsOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}
