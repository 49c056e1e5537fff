import { type Informer, startInformer } from '../../kube/informer.ts'
import { resources } from '../../kube/resources.ts'
import type { KubeClient } from '../../kube/types.ts'
import type { Clock } from '../../shared/clock.ts'
import {
  type IdentityStatus,
  identityStatusKey,
  identityStatusName,
  parseIdentityStatus,
} from '../../shared/identity-status.ts'
import {
  type ConfigMap,
  issuerSecretName,
  rootsConfigMapName,
  rootsKey,
  type Secret,
  type TlsPair,
  tlsPairOf,
} from './objects.ts'

/** What identity watches: the Secret of the issuer, the bundle of anchors, and what a rotation is at. */
export interface IdentityState {
  synced: Promise<unknown>
  /** The issuer as it stands in the cluster; undefined while it is missing. */
  issuerPair(): TlsPair | undefined
  rootsPem(): string | undefined
  status(): IdentityStatus | undefined
  onChange(listener: () => void): void
}

export function watchIdentityState(
  kube: KubeClient,
  namespace: string,
  clock: Clock,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): IdentityState {
  const options = { namespace, clock, signal, onError }
  const secrets: Informer<Secret> = startInformer(kube, resources.secrets, {
    ...options,
    fieldSelector: `metadata.name=${issuerSecretName}`,
  })
  const configMaps: Informer<ConfigMap> = startInformer(kube, resources.configMaps, {
    ...options,
    fieldSelector: `metadata.name=${rootsConfigMapName}`,
  })
  const statuses: Informer<ConfigMap> = startInformer(kube, resources.configMaps, {
    ...options,
    fieldSelector: `metadata.name=${identityStatusName}`,
  })
  return {
    synced: Promise.all([secrets.synced, configMaps.synced]),
    issuerPair: () => tlsPairOf(secrets.get(namespace, issuerSecretName)),
    rootsPem: () => configMaps.get(namespace, rootsConfigMapName)?.data?.[rootsKey],
    status: () => parseIdentityStatus(statuses.get(namespace, identityStatusName)?.data?.[identityStatusKey]),
    onChange: (listener) => {
      secrets.onChange(listener)
      configMaps.onChange(listener)
      statuses.onChange(listener)
    },
  }
}
