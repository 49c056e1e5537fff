/**
 * Labels and annotations. They are Linkerd's, so that manifests, dashboards and runbooks work for both.
 * See https://linkerd.io/2/reference/proxy-configuration/ and `docs/adr/0002-linkerd-names.md`.
 */
export const labels = {
  /** On every meshed pod and every installed object: the namespace of its control plane. */
  controlPlaneNamespace: 'linkerd.io/control-plane-ns',
  controlPlaneComponent: 'linkerd.io/control-plane-component',
  isControlPlane: 'linkerd.io/is-control-plane',
  /** On a namespace: the extension that lives in it. */
  extension: 'linkerd.io/extension',
  workloadNamespace: 'linkerd.io/workload-ns',
  /** `disabled` on a namespace keeps the webhooks away from it. */
  admissionWebhooks: 'config.linkerd.io/admission-webhooks',
} as const

export const annotations = {
  /** `enabled`, `disabled` or `ingress`, on a namespace or a pod. */
  inject: 'linkerd.io/inject',
  createdBy: 'linkerd.io/created-by',
  proxyVersion: 'linkerd.io/proxy-version',
  trustRootSha256: 'linkerd.io/trust-root-sha256',
} as const

/** Prefix of the annotations that configure a proxy. */
export const configAnnotationPrefix = 'config.linkerd.io/'

/** The label that names the owner of a meshed pod, such as `linkerd.io/proxy-deployment`. */
export function proxyOwnerLabel(ownerKind: string): string {
  return `linkerd.io/proxy-${ownerKind.toLowerCase()}`
}

/** Name of the proxy's container. */
export const proxyContainerName = 'linkerd-proxy'
/** Name of the init container that loads the redirect rules. */
export const redirectContainerName = 'linkerd-init'
/** Audience of the tokens by which workloads prove themselves to identity. */
export const identityTokenAudience = 'identity.l5d.io'
