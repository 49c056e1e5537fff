import type { ConfigMap, DownwardItem, KeyToPath, ProjectedSource, Secret, Volume } from '../objects.ts'
import {
  type ConfigSource,
  ContainerConfigError,
  fieldValue,
  type PodFacts,
  resourceValue,
} from './env-vars.ts'

/** The content of one file of a volume. */
export interface VolumeFile {
  data: Buffer
  mode: number
}

/** Files by their path in the volume. */
export type VolumeFiles = Map<string, VolumeFile>

/** Gives a token for a path; asked again whenever the files are made anew. */
export type TokenSource = (request: NonNullable<ProjectedSource['serviceAccountToken']>) => string

const defaultMode = 0o644

/**
 * The files of a volume that is made from objects, or undefined for other volumes.
 * @throws ContainerConfigError when an object or a key is missing that is not optional
 */
export function volumeFiles(
  volume: Volume,
  facts: PodFacts,
  source: ConfigSource,
  token: TokenSource,
): VolumeFiles | undefined {
  const sources = sourcesOf(volume)
  if (sources === undefined) return undefined
  const mode =
    volume.configMap?.defaultMode ??
    volume.secret?.defaultMode ??
    volume.projected?.defaultMode ??
    volume.downwardAPI?.defaultMode ??
    defaultMode
  const files: VolumeFiles = new Map()
  for (const part of sources) addSource(files, part, { mode, facts, source, token })
  return files
}

/** Every kind of volume as the sources of a projected one. */
function sourcesOf(volume: Volume): ProjectedSource[] | undefined {
  if (volume.projected !== undefined) return volume.projected.sources ?? []
  if (volume.configMap !== undefined) return [{ configMap: volume.configMap }]
  if (volume.downwardAPI !== undefined) return [{ downwardAPI: volume.downwardAPI }]
  if (volume.secret === undefined) return undefined
  const { secretName, ...rest } = volume.secret
  return [{ secret: { name: secretName, ...rest } }]
}

interface Making {
  mode: number
  facts: PodFacts
  source: ConfigSource
  token: TokenSource
}

function addSource(files: VolumeFiles, part: ProjectedSource, making: Making): void {
  const { mode, facts, source } = making
  if (part.serviceAccountToken !== undefined) {
    const data = Buffer.from(making.token(part.serviceAccountToken))
    files.set(part.serviceAccountToken.path, { data, mode })
  }
  if (part.configMap !== undefined) {
    const found = source.configMap(part.configMap.name)
    addKeys(files, 'configmap', part.configMap, found && configMapFiles(found), making)
  }
  if (part.secret !== undefined) {
    const found = source.secret(part.secret.name)
    addKeys(files, 'secret', part.secret, found && secretFiles(found), making)
  }
  for (const item of part.downwardAPI?.items ?? []) {
    files.set(item.path, { data: Buffer.from(downwardValue(item, facts)), mode: item.mode ?? mode })
  }
}

function downwardValue(item: DownwardItem, facts: PodFacts): string {
  if (item.fieldRef !== undefined) return fieldValue(item.fieldRef, facts)
  return item.resourceFieldRef === undefined ? '' : resourceValue(item.resourceFieldRef, facts)
}

function configMapFiles({ data = {}, binaryData = {} }: ConfigMap): Map<string, Buffer> {
  const texts = Object.entries(data).map(([key, text]) => [key, Buffer.from(text)] as const)
  const bytes = Object.entries(binaryData).map(([key, text]) => [key, Buffer.from(text, 'base64')] as const)
  return new Map([...texts, ...bytes])
}

function secretFiles({ data = {} }: Secret): Map<string, Buffer> {
  return new Map(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64')]))
}

function addKeys(
  files: VolumeFiles,
  kind: string,
  reference: { name: string; optional?: boolean; items?: KeyToPath[] },
  found: Map<string, Buffer> | undefined,
  { mode, facts }: Making,
): void {
  if (found === undefined) {
    if (reference.optional) return
    const namespace = facts.pod.metadata.namespace
    throw new ContainerConfigError(`${kind} "${reference.name}" not found in namespace ${namespace}`)
  }
  const all = [...found.keys()].map((key): KeyToPath => ({ key, path: key }))
  for (const item of reference.items ?? all) {
    const data = found.get(item.key)
    if (data !== undefined) files.set(item.path, { data, mode: item.mode ?? mode })
    else if (!reference.optional) {
      throw new ContainerConfigError(`${kind} "${reference.name}" has no key "${item.key}"`)
    }
  }
}
