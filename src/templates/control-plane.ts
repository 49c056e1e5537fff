import { meshVersion } from '../runtime/shared/version.ts'
import { type ControlPlaneComponent, controlPlaneProxyContext, type RenderedProxy } from './context.ts'
import { type RenderedObject, renderFolder } from './render.ts'
import { containerResources, renderProxy } from './render-proxy.ts'
import { yamlText } from './to-yaml.ts'
import { defaultValues, differencesFrom, type Values } from './values.ts'

/** What made an object; the annotation `linkerd.io/created-by`. */
export const createdBy = `mesh/cli ${meshVersion}`

/** A controller's proxy, and the ports that its pod's annotation says bypass it. */
function proxyBeside(
  values: Values,
  component: ControlPlaneComponent,
  ports: { meshed: readonly number[]; admin: number },
): RenderedProxy & { skipInboundPorts: string } {
  const context = controlPlaneProxyContext(values, component, ports)
  return { ...renderProxy(context), skipInboundPorts: context.proxy.skipInboundPorts }
}

/** What the templates of `control-plane/` read. */
function templateContext(values: Values): object {
  return {
    ...values,
    createdBy,
    version: meshVersion,
    valuesYaml: yamlText(values),
    // What an upgrade starts from: values that were not chosen follow the defaults of the new version.
    overridesYaml: yamlText(differencesFrom(defaultValues, values)),
    clusterRoles: {
      identity: `linkerd-${values.namespace}-identity`,
      destination: `linkerd-${values.namespace}-destination`,
      injector: `linkerd-${values.namespace}-proxy-injector`,
    },
    controllerImageName: `${values.controllerImage.name}:${values.controllerImage.version}`,
    controllerResourceBlock: containerResources(values.controllerResources) ?? null,
    flags: {
      namespace: `--controller-namespace=${values.namespace}`,
      clusterDomain: `--cluster-domain=${values.clusterDomain}`,
      trustDomain: `--identity-trust-domain=${values.identityTrustDomain}`,
      clusterNetworks: `--cluster-networks=${values.clusterNetworks}`,
      logLevel: `--log-level=${values.controllerLogLevel}`,
      issuanceLifetime: `--identity-issuance-lifetime=${values.identity.issuanceLifetime}`,
      clockSkewAllowance: `--identity-clock-skew-allowance=${values.identity.clockSkewAllowance}`,
      opaquePorts: `--default-opaque-ports=${values.proxy.opaquePorts}`,
      skipInboundPorts: `--default-skip-inbound-ports=${values.proxy.skipInboundPorts}`,
      defaultInboundPolicy: `--default-inbound-policy=${values.proxy.defaultInboundPolicy}`,
      h2Upgrade: `--enable-h2-upgrade=${values.enableH2Upgrade}`,
      ipv6: `--enable-ipv6=${!values.disableIPv6}`,
    },
    proxies: {
      identity: proxyBeside(values, 'identity', { meshed: [8080], admin: 9990 }),
      destination: proxyBeside(values, 'destination', { meshed: [8086, 8090, 9443], admin: 9996 }),
      injector: proxyBeside(values, 'proxy-injector', { meshed: [8443], admin: 9995 }),
    },
  }
}

/**
 * The control plane, in apply order. The same values give the same objects, and no object holds a key.
 * @throws MeshError `MESH_TEMPLATE`, a defect of ours
 */
export function renderControlPlane(values: Values): RenderedObject[] {
  return renderFolder('control-plane', templateContext(values))
}

/** The custom resources, in apply order; those of the Gateway API only when the values ask for them. */
export function renderCrds(values: Values): RenderedObject[] {
  const { namespace, installGatewayAPI } = values
  return renderFolder('crds', { createdBy, namespace, installGatewayAPI })
}
