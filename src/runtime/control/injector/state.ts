import { parse } from 'yaml'
import { defaultValues, type Values } from '../../../templates/values.ts'
import { startInformer } from '../../kube/informer.ts'
import { resources } from '../../kube/resources.ts'
import type { KubeClient, KubeObject } from '../../kube/types.ts'
import type { Clock } from '../../shared/clock.ts'

const configName = 'linkerd-config'
const rootsName = 'linkerd-identity-trust-roots'

interface ConfigMap extends KubeObject {
  data?: Record<string, string>
}

/** What the injector watches. All answers are the newest that the API server has told. */
export interface InjectorState {
  synced: Promise<unknown>
  namespaceAnnotations(name: string): Promise<Readonly<Record<string, string>>>
  values(): Values | undefined
  anchorsPem(): string | undefined
}

export interface InjectorStateOptions {
  kube: KubeClient
  controlPlaneNamespace: string
  clock: Clock
  signal: AbortSignal
  onError: (error: unknown) => void
}

export function watchInjectorState(options: InjectorStateOptions): InjectorState {
  const { kube, controlPlaneNamespace: namespace, clock, signal, onError } = options
  const namespaces = startInformer<KubeObject>(kube, resources.namespaces, { clock, signal, onError })
  const configMap = (name: string) =>
    startInformer<ConfigMap>(kube, resources.configMaps, {
      namespace,
      fieldSelector: `metadata.name=${name}`,
      clock,
      signal,
      onError,
    })
  const config = configMap(configName)
  const roots = configMap(rootsName)
  const parsed = new WeakMap<ConfigMap, Values | undefined>()
  return {
    synced: Promise.all([namespaces.synced, config.synced, roots.synced]),
    async namespaceAnnotations(name) {
      // A namespace that was created a moment ago may not have been told of yet.
      const found =
        namespaces.get(undefined, name) ?? (await kube.read<KubeObject>(resources.namespaces, name))
      return found?.metadata.annotations ?? {}
    },
    values() {
      const object = config.get(namespace, configName)
      if (object === undefined) return undefined
      if (!parsed.has(object)) parsed.set(object, readValues(object.data?.values ?? '', onError))
      return parsed.get(object)
    },
    anchorsPem() {
      const pem = roots.get(namespace, rootsName)?.data?.['ca-bundle.crt']
      return pem === undefined || pem.trim() === '' ? undefined : pem
    },
  }
}

/** Values as `mesh install` wrote them. What an older version did not know has its default. */
export function readValues(text: string, onError: (error: unknown) => void): Values | undefined {
  try {
    const document: unknown = parse(text, { logLevel: 'error' })
    if (typeof document !== 'object' || document === null) throw new Error('linkerd-config holds no values')
    return withDefaults(defaultValues, document) as Values
  } catch (error) {
    onError(error)
    return undefined
  }
}

function withDefaults(defaults: unknown, given: unknown): unknown {
  if (given === undefined || given === null) return defaults
  if (typeof defaults !== 'object' || defaults === null || typeof given !== 'object') return given
  const result: Record<string, unknown> = { ...given }
  for (const [key, value] of Object.entries(defaults)) {
    result[key] = withDefaults(value, (given as Record<string, unknown>)[key])
  }
  return result
}
