import jsonPatch, { type Operation } from 'fast-json-patch'
import { renderProxy } from '../../templates/render-proxy.ts'
import { defaultValues, type Values } from '../../templates/values.ts'
import type { Pod } from '../control/injector/pod.ts'
import { type Facts, injectPod } from '../control/injector/reconcile.ts'
import { readValues } from '../control/injector/state.ts'
import { resources } from '../kube/resources.ts'
import type { KubeClient, KubeObject } from '../kube/types.ts'
import { MeshError, messageOf } from '../shared/errors.ts'
import { annotations } from '../shared/labels.ts'
import { type ManifestDocument, type ManifestObject, objectsOf, plainAt } from './manifest-input.ts'
import { templatePath } from './pod-template.ts'

/** What the injector knows, read once. */
export interface InstalledMesh {
  values: Values
  /** PEM. */
  trustAnchors: string
}

interface ConfigMap extends KubeObject {
  data?: Record<string, string>
}

/**
 * What a cluster's injector knows.
 * @throws MeshError `MESH_INJECT_NO_CONTROL_PLANE`
 */
export async function readInstalledMesh(client: KubeClient, namespace: string): Promise<InstalledMesh> {
  const read = (name: string) => client.read<ConfigMap>(resources.configMaps, name, namespace)
  const [config, roots] = [await read('linkerd-config'), await read('linkerd-identity-trust-roots')]
  let problem: string | undefined
  const values = readValues(config?.data?.values ?? '', (error) => {
    problem = messageOf(error)
  })
  const trustAnchors = roots?.data?.['ca-bundle.crt']
  if (values !== undefined && trustAnchors !== undefined) return { values, trustAnchors }
  throw new MeshError({
    code: 'MESH_INJECT_NO_CONTROL_PLANE',
    kind: 'environment',
    message: `the control plane in ${namespace} does not say how proxies are configured`,
    reason: problem ?? 'it has no ConfigMap linkerd-identity-trust-roots',
    next: [
      'mesh check',
      'Or give both: mesh inject --manual --ignore-cluster --identity-trust-anchors-file FILE',
    ],
  })
}

/** The defaults, for `--ignore-cluster`. */
export function assumedMesh(namespace: string, trustAnchors: string): InstalledMesh {
  return { values: { ...defaultValues, namespace }, trustAnchors }
}

/**
 * Puts the whole proxy into every pod template that is marked for injection, in place, exactly as the injector would.
 * @param defaultNamespace of objects that name none
 * @throws MeshError `MESH_INJECT_ANNOTATION` when an annotation cannot be followed
 */
export function injectManually(
  documents: readonly ManifestDocument[],
  mesh: InstalledMesh,
  defaultNamespace: string,
): void {
  for (const object of objectsOf(documents)) {
    const path = templatePath(object)
    if (path === undefined) continue
    const pod = plainAt(object.document, path) as Pod | undefined
    const mode = pod?.metadata?.annotations?.[annotations.inject]
    if (pod?.spec?.containers === undefined || (mode !== 'enabled' && mode !== 'ingress')) continue
    const injected = withProxy(object, pod, mode === 'ingress', mesh, object.namespace ?? defaultNamespace)
    object.document.setIn([...path, 'metadata'], object.document.createNode(injected.metadata))
    object.document.setIn([...path, 'spec'], object.document.createNode(injected.spec))
  }
}

function withProxy(
  object: ManifestObject,
  pod: Pod,
  isIngress: boolean,
  mesh: InstalledMesh,
  namespace: string,
): Pod {
  const facts: Facts = {
    namespace,
    namespaceAnnotations: {},
    owner:
      object.kind === 'Pod' ? undefined : { apiVersion: 'apps/v1', kind: object.kind, name: object.name },
    values: mesh.values,
    anchorsPem: mesh.trustAnchors,
    render: renderProxy,
  }
  const outcome = injectPod(pod, { kind: 'inject', isIngress, annotationAt: 'workload' }, facts)
  if (outcome.kind === 'refuse') {
    throw new MeshError({
      code: 'MESH_INJECT_ANNOTATION',
      kind: 'usage',
      message: `${object.kind.toLowerCase()} "${object.name}" cannot be injected`,
      reason: outcome.message,
    })
  }
  return jsonPatch.applyPatch(structuredClone(pod), outcome.patch as Operation[]).newDocument
}
