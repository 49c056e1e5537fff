import { resources } from '../runtime/kube/resources.ts'
import type { KubeClient, KubeObject, ListOptions, RawResponse, Resource } from '../runtime/kube/types.ts'
import { KubeError } from '../runtime/kube/types.ts'
import { labels } from '../runtime/shared/labels.ts'
import type { DeploymentObject, NodeObject, PodObject, ReplicaSetObject, ServiceObject } from './shapes.ts'

/** Reads a cluster for checks: each thing once, until {@link ClusterView.forget}. */
export class ClusterView {
  readonly #connect: () => KubeClient
  readonly #answers = new Map<string, Promise<unknown>>()
  #client: KubeClient | undefined

  /** @param connect throws when the kubeconfig is wrong, which is a check of its own */
  constructor(connect: () => KubeClient) {
    this.#connect = connect
  }

  /** The client of every read. */
  get client(): KubeClient {
    this.#client ??= this.#connect()
    return this.#client
  }

  /** Drops what was read, before another attempt. */
  forget(): void {
    this.#answers.clear()
  }

  #once<T>(key: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#answers.get(key)
    if (known !== undefined) return known as Promise<T>
    const answer = ask()
    this.#answers.set(key, answer)
    return answer
  }

  list<T extends KubeObject>(resource: Resource, options: ListOptions = {}): Promise<T[]> {
    const key = `list ${resource.group}/${resource.plural} ${JSON.stringify(options)}`
    return this.#once(key, async () => (await this.client.list<T>(resource, options)).items)
  }

  read<T extends KubeObject>(resource: Resource, name: string, namespace?: string): Promise<T | undefined> {
    const key = `read ${resource.group}/${resource.plural} ${namespace ?? ''}/${name}`
    return this.#once(key, () => this.client.read<T>(resource, name, namespace))
  }

  /** A GET that must answer 200. */
  get(path: string): Promise<RawResponse> {
    return this.#once(`get ${path}`, async () => {
      const response = await this.client.raw({ method: 'GET', path })
      if (response.status !== 200) {
        throw new KubeError(response.status, 'Unexpected', `GET ${path} answered ${response.status}`)
      }
      return response
    })
  }

  pods(options: ListOptions = {}): Promise<PodObject[]> {
    return this.list<PodObject>(resources.pods, options)
  }

  services(): Promise<ServiceObject[]> {
    return this.list<ServiceObject>(resources.services)
  }

  nodes(): Promise<NodeObject[]> {
    return this.list<NodeObject>(resources.nodes)
  }

  replicaSets(namespace: string): Promise<ReplicaSetObject[]> {
    return this.list<ReplicaSetObject>(resources.replicaSets, { namespace })
  }

  deployments(namespace: string): Promise<DeploymentObject[]> {
    return this.list<DeploymentObject>(resources.deployments, { namespace })
  }

  /** Pods that have a proxy of this control plane; its own pods are left out. */
  async meshedPods(controlPlaneNamespace: string, namespace?: string): Promise<PodObject[]> {
    const pods = await this.pods({
      ...(namespace === undefined ? {} : { namespace }),
      labelSelector: `${labels.controlPlaneNamespace}=${controlPlaneNamespace}`,
    })
    return pods.filter((pod) => pod.metadata.labels?.[labels.controlPlaneComponent] === undefined)
  }
}
