import { configuration } from './configuration.ts'
import { crds, existence } from './control-plane.ts'
import { dataPlane } from './data-plane.ts'
import { extensions } from './extensions.ts'
import { dataPlaneIdentity, identity } from './identity.ts'
import { gatewayApi, kubernetesApi, kubernetesVersion } from './kubernetes.ts'
import { preInstall } from './pre.ts'
import type { Category, Check } from './types.ts'
import { controlPlaneProxies, controlPlaneVersion, highAvailability } from './versions.ts'
import { webhook } from './webhook.ts'

/** What is checked: before an installation, its custom resources, all of it, or the proxies of applications. */
export type CheckScope = 'pre' | 'crds' | 'control-plane' | 'proxy'

const always: readonly CheckScope[] = ['pre', 'crds', 'control-plane', 'proxy']
const installed: readonly CheckScope[] = ['control-plane', 'proxy']

/** Every category in the order in which Linkerd prints it, and where it belongs. */
const ordered: readonly { category: Category; scopes: readonly CheckScope[] }[] = [
  { category: kubernetesApi, scopes: always },
  { category: kubernetesVersion, scopes: always },
  { category: gatewayApi, scopes: always },
  { category: preInstall, scopes: ['pre'] },
  { category: crds, scopes: ['crds'] },
  { category: existence, scopes: installed },
  { category: configuration, scopes: installed },
  { category: identity, scopes: installed },
  { category: webhook, scopes: installed },
  { category: dataPlaneIdentity, scopes: ['proxy'] },
  { category: controlPlaneVersion, scopes: ['control-plane'] },
  { category: controlPlaneProxies, scopes: installed },
  { category: dataPlane, scopes: ['proxy'] },
  { category: highAvailability, scopes: installed },
  { category: extensions, scopes: ['control-plane'] },
]

/** The categories of a scope, in order. */
export function categoriesOf(scope: CheckScope): Category[] {
  return ordered.filter(({ scopes }) => scopes.includes(scope)).map(({ category }) => category)
}

/** Every check, for `mesh explain` and the documents. */
export function allChecks(): { category: string; check: Check }[] {
  return ordered.flatMap(({ category }) => category.checks.map((check) => ({ category: category.id, check })))
}
