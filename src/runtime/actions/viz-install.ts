import { parse } from 'yaml'
import type { RenderedObject } from '../../templates/render.ts'
import { defaultValues, type Values } from '../../templates/values.ts'
import { renderViz } from '../../templates/viz.ts'
import { resources } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { MeshError } from '../shared/errors.ts'

/** What `mesh viz install` can be told. */
export interface VizInstallOptions {
  /** Namespace of viz. */
  namespace: string
  controlPlaneNamespace: string
  logLevel: string
  /** As Go writes durations. */
  scrapeInterval: string
}

interface ConfigMap extends KubeObject {
  data?: Record<string, string>
}

/**
 * Renders viz in apply order. With a client, image and user are those of the control plane that is installed.
 * @param client absent for `--ignore-cluster`
 * @throws MeshError `MESH_VIZ_NO_CONTROL_PLANE`, `MESH_VIZ_INTERVAL`
 */
export async function vizInstall(
  options: VizInstallOptions,
  client: KubeClient | undefined,
): Promise<RenderedObject[]> {
  checkInterval(options.scrapeInterval)
  const values =
    client === undefined ? defaultValues : await installedValues(client, options.controlPlaneNamespace)
  return renderViz({ ...options, image: values.controllerImage, controllerUID: values.controllerUID })
}

/** Values of an older control plane may lack what a newer one has. */
async function installedValues(
  client: KubeClient,
  namespace: string,
): Promise<Pick<Values, 'controllerImage' | 'controllerUID'>> {
  const config = await client.read<ConfigMap>(resources.configMaps, 'linkerd-config', namespace)
  if (config === undefined) {
    throw new MeshError({
      code: 'MESH_VIZ_NO_CONTROL_PLANE',
      kind: 'environment',
      message: `there is no control plane in the namespace ${namespace}`,
      reason: 'the ConfigMap linkerd-config is not there',
      next: [
        'mesh install | kubectl apply -f -',
        'Or render without looking: mesh viz install --ignore-cluster',
      ],
    })
  }
  const values = parse(config.data?.values ?? '') as Partial<Values> | null
  return {
    controllerImage: values?.controllerImage ?? defaultValues.controllerImage,
    controllerUID: values?.controllerUID ?? defaultValues.controllerUID,
  }
}

function checkInterval(text: string): void {
  const seconds = /^(\d+)s$/.exec(text)?.[1] ?? (text === '1m' ? '60' : undefined)
  if (seconds !== undefined && Number(seconds) >= 1 && Number(seconds) <= 60) return
  throw new MeshError({
    code: 'MESH_VIZ_INTERVAL',
    kind: 'usage',
    message: `${JSON.stringify(text)} is not an interval between scrapes`,
    next: ['Write whole seconds from 1s to 60s.'],
  })
}
