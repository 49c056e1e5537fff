import type { ServiceAccountToken, ServiceAccountTokenRequest } from '../apiserver/types.ts'
import type { Cluster } from '../cluster.ts'
import type { ImageEntry } from '../images.ts'
import type { PodNetwork } from '../network/pod-network.ts'
import type { Tools } from '../tools.ts'
import type { EventRecorder } from './events.ts'
import type { HostView } from './host-view.ts'

/** Times of the node agent in milliseconds; the defaults are those of the kubelet. */
export interface NodeTiming {
  /** Wait before the second restart of a container; it doubles each time. */
  crashBackOffMs: number
  longestCrashBackOffMs: number
  /** A container that ran this long starts anew with the back-off. */
  crashBackOffResetMs: number
  /** Between attempts to start a container whose configuration or image is missing. */
  missingRetryMs: number
}

export const defaultTiming: NodeTiming = {
  crashBackOffMs: 10_000,
  longestCrashBackOffMs: 300_000,
  crashBackOffResetMs: 600_000,
  missingRetryMs: 1_000,
}

/** What the node agent works with. */
export interface NodeParts {
  cluster: Cluster
  tools: Tools
  network: PodNetwork
  hostView: HostView
  events: EventRecorder
  timing: NodeTiming
  /** In memory and private to the cluster: roots and volumes of pods. */
  workFolder: string
  /** Logs of containers. */
  logFolder: string
  /**
   * What an image name stands for, or undefined when it is unknown.
   * @throws MeshError when the table cannot be read
   */
  findImage(image: string): ImageEntry | undefined
  /** Tells how to make an image known. */
  imageAdvice(image: string): string
  issueToken(request: ServiceAccountTokenRequest): ServiceAccountToken
}
