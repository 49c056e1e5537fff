import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { messageOf } from '../../shared/errors.ts'
import type { ServiceAccountTokenRequest } from '../apiserver/types.ts'
import type { Pod, Volume } from '../objects.ts'
import { type ConfigSource, ContainerConfigError, type PodFacts } from './env-vars.ts'
import type { NodeParts } from './parts.ts'
import { type VolumeFiles, volumeFiles } from './volume-files.ts'

const defaultTokenSeconds = 3600
/** A token is renewed after this part of its life, as the kubelet does. */
const tokenRenewalPart = 0.8
/** Or at the latest after this time. */
const longestTokenUseMs = 24 * 3600 * 1000

interface IssuedToken {
  token: string
  renewAtMs: number
}

/** The volumes of one pod on this machine. */
export class PodVolumes {
  readonly #parts: NodeParts
  readonly #folder: string
  readonly #tokens = new Map<string, IssuedToken>()
  /** What was last written, to leave files alone that have not changed. */
  readonly #written = new Map<string, string>()

  constructor(parts: NodeParts, folder: string) {
    this.#parts = parts
    this.#folder = folder
  }

  /**
   * Makes all volumes, or brings those that are made from objects up to date.
   * @throws ContainerConfigError when something that a volume needs is missing
   */
  prepare(facts: PodFacts, source: ConfigSource): void {
    for (const volume of facts.pod.spec.volumes ?? []) this.#prepareOne(volume, facts, source)
  }

  /** Where a volume is on the node. */
  pathOf(pod: Pod, name: string): string | undefined {
    const volume = pod.spec.volumes?.find((candidate) => candidate.name === name)
    if (volume === undefined) return undefined
    return volume.hostPath?.path ?? join(this.#folder, name)
  }

  /** When a token in a volume has to be renewed: milliseconds since the epoch. */
  renewAtMs(): number | undefined {
    const times = [...this.#tokens.values()].map(({ renewAtMs }) => renewAtMs)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  #prepareOne(volume: Volume, facts: PodFacts, source: ConfigSource): void {
    if (volume.hostPath !== undefined) {
      prepareHostPath(volume.hostPath)
      return
    }
    const folder = join(this.#folder, volume.name)
    const token = (request: { audience?: string; expirationSeconds?: number; path: string }) =>
      this.#token(`${volume.name}/${request.path}`, request, facts.pod)
    const files = volumeFiles(volume, facts, source, token)
    if (files === undefined && volume.emptyDir === undefined) {
      throw new ContainerConfigError(`volume "${volume.name}" is of a kind that the local cluster lacks`)
    }
    const { fsGroup } = facts.pod.spec.securityContext ?? {}
    if (!existsSync(folder)) {
      mkdirSync(folder, { recursive: true })
      chmodSync(folder, 0o777)
      if (fsGroup !== undefined) {
        chownSync(folder, 0, fsGroup)
        chmodSync(folder, 0o2777)
      }
    }
    if (files === undefined) return
    const print = JSON.stringify(
      [...files].map(([path, { data, mode }]) => [path, mode, data.toString('base64')]),
    )
    if (this.#written.get(volume.name) === print) return
    writeAtOnce(folder, files, fsGroup)
    this.#written.set(volume.name, print)
  }

  #token(
    key: string,
    { audience, expirationSeconds }: { audience?: string; expirationSeconds?: number },
    pod: Pod,
  ): string {
    const nowMs = this.#parts.cluster.clock.nowMs()
    const known = this.#tokens.get(key)
    if (known !== undefined && known.renewAtMs > nowMs) return known.token
    const { name, namespace = 'default', uid = '' } = pod.metadata
    const request: ServiceAccountTokenRequest = {
      namespace,
      serviceAccount: pod.spec.serviceAccountName ?? 'default',
      ...(audience === undefined ? {} : { audiences: [audience] }),
      expirationSeconds: expirationSeconds ?? defaultTokenSeconds,
      pod: { name, uid },
    }
    try {
      const { token, expirationTimestamp } = this.#parts.issueToken(request)
      const lifeMs = Date.parse(expirationTimestamp) - nowMs
      const useMs = Math.min(lifeMs * tokenRenewalPart, longestTokenUseMs)
      this.#tokens.set(key, { token, renewAtMs: nowMs + useMs })
      return token
    } catch (error) {
      throw new ContainerConfigError(`failed to fetch token: ${messageOf(error)}`, { cause: error })
    }
  }
}

/** @throws ContainerConfigError when the path is not what `type` says, and may not be made */
function prepareHostPath({ path, type = '' }: { path: string; type?: string }): void {
  if (type === 'DirectoryOrCreate') mkdirSync(path, { recursive: true })
  if (type === 'FileOrCreate' && !existsSync(path)) writeFileSync(path, '')
  const stats = statSync(path, { throwIfNoEntry: false })
  const wantsFolder = type.startsWith('Directory')
  const wantsFile = type.startsWith('File')
  const isWrong = (wantsFolder && !stats?.isDirectory()) || (wantsFile && !stats?.isFile())
  if (stats === undefined || isWrong) {
    throw new ContainerConfigError(`hostPath type check failed: ${path} is not a ${type || 'path'}`)
  }
}

/**
 * Replaces all files of a volume in one step: readers go through the link `..data` and see either all old or all new
 * files. Kubernetes promises the same layout.
 */
function writeAtOnce(folder: string, files: VolumeFiles, fsGroup: number | undefined): void {
  const link = join(folder, '..data')
  const before = lstatSync(link, { throwIfNoEntry: false }) && readlinkSync(link)
  const version = `..${new Date().toISOString().replace(/[-:TZ]/g, '_')}`
  const next = before === version ? `${version}_` : version
  for (const [path, { data, mode }] of files) {
    const file = join(folder, next, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, data)
    chmodSync(file, fsGroup === undefined ? mode : mode | 0o440)
    if (fsGroup !== undefined) chownSync(file, 0, fsGroup)
  }
  mkdirSync(join(folder, next), { recursive: true })
  symlinkSync(next, `${link}_tmp`)
  renameSync(`${link}_tmp`, link)
  linkTopLevel(folder, new Set([...files.keys()].map((path) => path.split('/', 1)[0] ?? path)))
  if (before !== undefined) rmSync(join(folder, before), { recursive: true, force: true })
}

function linkTopLevel(folder: string, names: Set<string>): void {
  const present = readdirSync(folder).filter((name) => !name.startsWith('..'))
  for (const name of present) if (!names.has(name)) rmSync(join(folder, name))
  for (const name of names) {
    if (!present.includes(name)) symlinkSync(join('..data', name), join(folder, name))
  }
}
