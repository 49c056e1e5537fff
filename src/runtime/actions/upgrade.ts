import { parse } from 'yaml'
import { renderControlPlane, renderCrds } from '../../templates/control-plane.ts'
import type { RenderedObject } from '../../templates/render.ts'
import { resources } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { MeshError, messageOf } from '../shared/errors.ts'
import { plainObjects, readManifests } from './manifest-input.ts'
import { type ReadText, resolveValues, type ValueInputs } from './resolve-values.ts'

interface ConfigMap extends KubeObject {
  data?: Record<string, string>
}

/** What to change, and where what was chosen before is found. */
export interface UpgradeOptions {
  namespace: string
  /** Changes; those that are not made again stay as they were chosen. */
  inputs: ValueInputs
  /** The custom resources instead of the control plane. */
  crds: boolean
  /** Read what was chosen from this file instead of the cluster; `-` is standard input. */
  fromManifests?: string
}

/**
 * Renders the next release: the defaults of this version, what was chosen before, and the changes.
 * @throws MeshError `MESH_UPGRADE_NOT_INSTALLED`, `MESH_UPGRADE_CONFIG`, `MESH_VALUES_*`
 */
export async function upgrade(
  options: UpgradeOptions,
  deps: { client: () => KubeClient; readText: ReadText },
): Promise<RenderedObject[]> {
  const config =
    options.fromManifests === undefined
      ? await deps.client().read<ConfigMap>(resources.configMaps, 'linkerd-config', options.namespace)
      : await configIn(options.fromManifests, options.namespace)
  const values = await resolveValues(
    { ...options.inputs, stored: storedOverrides(config, options.namespace) },
    deps.readText,
  )
  return options.crds ? renderCrds(values) : renderControlPlane(values)
}

async function configIn(path: string, namespace: string): Promise<ConfigMap | undefined> {
  return plainObjects(await readManifests([path])).find(
    ({ kind, metadata }) =>
      kind === 'ConfigMap' && metadata.name === 'linkerd-config' && metadata.namespace === namespace,
  )
}

/**
 * What was chosen at the last installation.
 * @throws MeshError `MESH_UPGRADE_NOT_INSTALLED`, `MESH_UPGRADE_CONFIG`
 */
export function storedOverrides(config: ConfigMap | undefined, namespace: string): object {
  if (config === undefined) {
    throw new MeshError({
      code: 'MESH_UPGRADE_NOT_INSTALLED',
      kind: 'environment',
      message: `there is no control plane in the namespace ${namespace}`,
      reason: 'the ConfigMap linkerd-config was not found',
      next: ['mesh install | kubectl apply -f -', 'Or name its namespace with --linkerd-namespace.'],
    })
  }
  const text = config.data?.overrides
  try {
    if (text === undefined) throw new Error('it has no key overrides; another program installed it')
    return { ...((parse(text) as object | null) ?? {}), namespace }
  } catch (thrown) {
    throw new MeshError({
      code: 'MESH_UPGRADE_CONFIG',
      kind: 'environment',
      message: `the ConfigMap ${namespace}/linkerd-config does not say what was chosen`,
      reason: messageOf(thrown),
      next: ['mesh install --ignore-cluster -f values.yaml | kubectl apply -f -'],
      cause: thrown,
    })
  }
}
