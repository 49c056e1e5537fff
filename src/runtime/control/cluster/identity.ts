import type { MeshConfig } from './config.ts'

/** The name that workloads of a service account prove to their peers. */
export function identityName(
  serviceAccount: string,
  namespace: string,
  config: Pick<MeshConfig, 'controlPlaneNamespace' | 'trustDomain'>,
): string {
  const { controlPlaneNamespace, trustDomain } = config
  return `${serviceAccount}.${namespace}.serviceaccount.identity.${controlPlaneNamespace}.${trustDomain}`
}
