import { createdBy } from './control-plane.ts'
import { type RenderedObject, renderFolder } from './render.ts'
import type { ImageValues } from './values.ts'

/** What the installation of viz can be told. */
export interface VizValues {
  /** Namespace of viz. */
  namespace: string
  /** Namespace of the control plane. */
  controlPlaneNamespace: string
  /** The controller image: metrics-api is one of its commands. */
  image: ImageValues
  /** User that metrics-api runs as. */
  controllerUID: number
  logLevel: string
  /** Time between two scrapes of a proxy, as Go writes durations. */
  scrapeInterval: string
}

/**
 * The viz extension, in apply order.
 * @throws MeshError `MESH_TEMPLATE`, a defect of ours
 */
export function renderViz(values: VizValues): RenderedObject[] {
  return renderFolder('viz', {
    ...values,
    createdBy,
    clusterRole: `linkerd-${values.namespace}-metrics-api`,
    imageName: `${values.image.name}:${values.image.version}`,
    flags: {
      controllerNamespace: `--controller-namespace=${values.controlPlaneNamespace}`,
      logLevel: `--log-level=${values.logLevel}`,
      scrapeInterval: `--scrape-interval=${values.scrapeInterval}`,
    },
  })
}
