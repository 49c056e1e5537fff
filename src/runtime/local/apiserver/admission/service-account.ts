import { randomInt } from 'node:crypto'
import { resources } from '../../../kube/resources.ts'
import { isObject, objectsAt } from '../json.ts'
import { forbidden } from '../status.ts'
import type { Store } from '../store.ts'
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts'

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount'
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789'
const tokenLifetimeSeconds = 3607

function volumeName(): string {
  const suffix = Array.from({ length: 5 }, () => suffixAlphabet[randomInt(suffixAlphabet.length)])
  return `kube-api-access-${suffix.join('')}`
}

function tokenVolume(name: string): Record<string, unknown> {
  const namespaceItem = { path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }
  const sources = [
    { serviceAccountToken: { expirationSeconds: tokenLifetimeSeconds, path: 'token' } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    { downwardAPI: { items: [namespaceItem] } },
  ]
  return { name, projected: { defaultMode: 0o644, sources } }
}

function mountToken(spec: Record<string, unknown>): void {
  const containers = [...objectsAt(spec, ['initContainers']), ...objectsAt(spec, ['containers'])]
  const lacking = containers.filter(
    (container) => !objectsAt(container, ['volumeMounts']).some((mount) => mount.mountPath === mountPath),
  )
  if (lacking.length === 0) return
  const present = objectsAt(spec, ['volumes'])
  const existing = present.find((volume) => String(volume.name).startsWith('kube-api-access-'))
  const name = existing ? String(existing.name) : volumeName()
  if (!existing) spec.volumes = [...present, tokenVolume(name)]
  for (const container of lacking) {
    container.volumeMounts = [...objectsAt(container, ['volumeMounts']), { name, readOnly: true, mountPath }]
  }
}

/**
 * Gives each new pod its service account and mounts a token of it, as the ServiceAccount admission controller of
 * Kubernetes does: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#serviceaccount.
 */
export function serviceAccountPlugin(store: Store): AdmissionPlugin {
  return {
    mutate({ operation, definition, subresource, object, namespace = '' }: AdmissionRequest) {
      if (operation !== 'CREATE' || definition.resource.kind !== 'Pod' || subresource !== undefined) return
      if (!object || !isObject(object.spec)) return
      const { spec } = object
      if (!spec.serviceAccountName) spec.serviceAccountName = 'default'
      spec.serviceAccount = spec.serviceAccountName
      const name = String(spec.serviceAccountName)
      const account = store.get(resources.serviceAccounts, name, namespace)
      if (!account) {
        const pod = object.metadata.name ?? object.metadata.generateName ?? ''
        const why = `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`
        throw forbidden(`pods "${pod}" is forbidden: ${why}`, { name: pod, kind: 'pods' })
      }
      const wanted =
        spec.automountServiceAccountToken ??
        (account as unknown as Record<string, unknown>).automountServiceAccountToken
      if (wanted !== false) mountToken(spec)
    },
  }
}
