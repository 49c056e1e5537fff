import { resources } from '../kube/resources.ts'
import { type KubeClient, KubeError, type KubeObject, type Resource } from '../kube/types.ts'
import { type LabelSelector, podsOf, selectorText } from './pods-of.ts'

/** One authorization that affects a workload. */
export interface AuthzRow {
  /** `*` when it holds for every route. */
  route: string
  server: string
  authorizationPolicy: string
  serverAuthorization: string
}

interface Server extends KubeObject {
  spec?: { podSelector?: LabelSelector }
}

interface ServerAuthorization extends KubeObject {
  spec?: { server?: { name?: string; selector?: LabelSelector } }
}

interface AuthorizationPolicy extends KubeObject {
  spec?: { targetRef?: { kind?: string; name?: string } }
}

interface Route extends KubeObject {
  spec?: { parentRefs?: { kind?: string; name?: string }[] }
}

/**
 * The authorizations that decide who may connect to a workload: those of the Servers that select its pods, of the
 * routes of those Servers, and of its namespace.
 * @throws MeshError `MESH_RESOURCE_NOT_FOUND`, `MESH_VIZ_RESOURCE`
 */
export async function authz(client: KubeClient, resource: string, namespace: string): Promise<AuthzRow[]> {
  const pods = await podsOf(client, resource, namespace)
  const home = pods[0]?.metadata.namespace ?? namespace
  const names = new Set(pods.map(({ metadata }) => metadata.name))
  const [servers, authorizations, policies, routes] = await Promise.all([
    listOrNone<Server>(client, resources.servers, home),
    listOrNone<ServerAuthorization>(client, resources.serverAuthorizations, home),
    listOrNone<AuthorizationPolicy>(client, resources.authorizationPolicies, home),
    listOrNone<Route>(client, resources.policyHttpRoutes, home),
  ])
  const rows: AuthzRow[] = []
  for (const server of servers) {
    if (!(await selectsAny(client, server, names, home))) continue
    const own = authorizations.filter((authorization) => isForServer(authorization, server))
    rows.push(...own.map(({ metadata }) => row('*', server, { serverAuthorization: metadata.name })))
    rows.push(...policyRows(server, policies, routes))
  }
  const ofNamespace = policies.filter(({ spec }) => spec?.targetRef?.kind === 'Namespace')
  rows.push(...ofNamespace.map(({ metadata }) => row('*', undefined, { authorizationPolicy: metadata.name })))
  return rows.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

function policyRows(
  server: Server,
  policies: readonly AuthorizationPolicy[],
  routes: readonly Route[],
): AuthzRow[] {
  const routeNames = new Set(
    routes
      .filter(({ spec }) =>
        spec?.parentRefs?.some(({ kind, name }) => kind === 'Server' && name === server.metadata.name),
      )
      .map(({ metadata }) => metadata.name),
  )
  return policies.flatMap(({ metadata, spec }) => {
    const { kind, name = '' } = spec?.targetRef ?? {}
    if (kind === 'Server' && name === server.metadata.name) {
      return [row('*', server, { authorizationPolicy: metadata.name })]
    }
    const isRoute = kind === 'HTTPRoute' && routeNames.has(name)
    return isRoute ? [row(name, server, { authorizationPolicy: metadata.name })] : []
  })
}

function row(
  route: string,
  server: Server | undefined,
  names: { authorizationPolicy?: string; serverAuthorization?: string },
): AuthzRow {
  return {
    route,
    server: server?.metadata.name ?? '*',
    authorizationPolicy: names.authorizationPolicy ?? '',
    serverAuthorization: names.serverAuthorization ?? '',
  }
}

const keyOf = ({ server, route, authorizationPolicy, serverAuthorization }: AuthzRow) =>
  [server, route, authorizationPolicy, serverAuthorization].join('\u0000')

async function selectsAny(
  client: KubeClient,
  server: Server,
  names: ReadonlySet<string>,
  namespace: string,
): Promise<boolean> {
  if (server.spec?.podSelector === undefined) return false
  const labelSelector = selectorText(server.spec.podSelector)
  const { items } = await client.list(resources.pods, {
    namespace,
    ...(labelSelector === '' ? {} : { labelSelector }),
  })
  return items.some(({ metadata }) => names.has(metadata.name))
}

function isForServer({ spec }: ServerAuthorization, server: Server): boolean {
  if (spec?.server?.name !== undefined) return spec.server.name === server.metadata.name
  const wanted = Object.entries(spec?.server?.selector?.matchLabels ?? {})
  return (
    spec?.server?.selector !== undefined &&
    wanted.every(([key, value]) => server.metadata.labels?.[key] === value) &&
    (spec.server.selector.matchExpressions ?? []).every((expression) =>
      isMatch(expression, server.metadata.labels?.[expression.key]),
    )
  )
}

function isMatch(
  { operator, values = [] }: { operator: string; values?: string[] },
  label: string | undefined,
): boolean {
  switch (operator) {
    case 'Exists':
      return label !== undefined
    case 'DoesNotExist':
      return label === undefined
    case 'NotIn':
      return label === undefined || !values.includes(label)
    default:
      return label !== undefined && values.includes(label)
  }
}

/** A kind that the cluster does not have has no objects. */
async function listOrNone<T extends KubeObject>(
  client: KubeClient,
  resource: Resource,
  namespace: string,
): Promise<T[]> {
  try {
    return (await client.list<T>(resource, { namespace })).items
  } catch (thrown) {
    if (thrown instanceof KubeError && thrown.status === 404) return []
    throw thrown
  }
}
