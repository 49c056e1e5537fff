import type { ProxyValues } from '../../../templates/values.ts'
import {
  type AnnotationRule,
  type Apply,
  additionalEnvironment,
  duration,
  flag,
  ignored,
  inherited,
  matching,
  needless,
  oneOf,
  own,
  port,
  ports,
  quantity,
  setEnv,
  subnets,
  wholeNumber,
} from './annotation-rules.ts'

const imageName = /^[a-zA-Z0-9]([a-zA-Z0-9._:/-]*[a-zA-Z0-9])?$/
const imageTag = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/
const pullPolicies = ['Always', 'IfNotPresent', 'Never']
const inboundPolicies = [
  'all-unauthenticated',
  'all-authenticated',
  'cluster-unauthenticated',
  'cluster-authenticated',
  'deny',
  'audit',
]
const switches = ['enabled', 'disabled']
const nativeSidecar = (name: string): Apply =>
  flag((settings, isOn) => {
    if (!isOn) settings.warnings.push(`${name} has no effect: the proxy is always a native sidecar`)
  })
const noDetectTimeout = (side: 'INBOUND' | 'OUTBOUND') =>
  flag((settings, isOn) => {
    if (isOn) setEnv(settings, { name: `LINKERD2_PROXY_${side}_DETECT_TIMEOUT`, value: '365d' })
  })

/**
 * Every annotation that configures a proxy, by its whole name. See
 * https://linkerd.io/2/reference/proxy-configuration/ for what each means.
 */
export const annotationTable: Readonly<Record<string, AnnotationRule>> = {
  'config.linkerd.io/proxy-image': inherited(
    matching(imageName, 'it is no name of an image (the tag goes to proxy-version)', (settings, value) => {
      settings.proxy.image.name = value
    }),
  ),
  'config.linkerd.io/proxy-version': inherited(
    matching(imageTag, 'it is no tag of an image', (settings, value) => {
      settings.proxy.image.version = value
    }),
  ),
  'config.linkerd.io/image-pull-policy': inherited(
    oneOf(pullPolicies, (settings, value) => {
      settings.proxy.image.pullPolicy = value as ProxyValues['image']['pullPolicy']
      settings.debug.pullPolicy = value
    }),
  ),
  'config.linkerd.io/debug-image': own(
    matching(imageName, 'it is no name of an image', (settings, value) => {
      settings.debug.image = value
    }),
  ),
  'config.linkerd.io/debug-image-version': own(
    matching(imageTag, 'it is no tag of an image', (settings, value) => {
      settings.debug.version = value
    }),
  ),
  'config.linkerd.io/debug-image-pull-policy': own(
    oneOf(pullPolicies, (settings, value) => {
      settings.debug.pullPolicy = value
    }),
  ),
  'config.linkerd.io/enable-debug-sidecar': inherited(
    flag((settings, isOn) => {
      settings.debug.isWanted = isOn
    }),
  ),
  'config.linkerd.io/inbound-port': inherited(
    port((settings, value) => {
      settings.proxy.ports.inbound = value
    }),
  ),
  'config.linkerd.io/outbound-port': inherited(
    port((settings, value) => {
      settings.proxy.ports.outbound = value
    }),
  ),
  'config.linkerd.io/admin-port': inherited(
    port((settings, value) => {
      settings.proxy.ports.admin = value
    }),
  ),
  'config.linkerd.io/control-port': inherited(
    port((settings, value) => {
      settings.proxy.ports.control = value
    }),
  ),
  'config.linkerd.io/skip-inbound-ports': inherited(
    ports((settings, value) => {
      settings.proxy.skipInboundPorts = value
    }),
  ),
  'config.linkerd.io/skip-outbound-ports': inherited(
    ports((settings, value) => {
      settings.proxy.skipOutboundPorts = value
    }),
  ),
  'config.linkerd.io/skip-subnets': inherited(subnets),
  'config.linkerd.io/opaque-ports': inherited(
    ports((settings, value) => {
      settings.proxy.opaquePorts = value
    }, true),
  ),
  'config.linkerd.io/proxy-require-identity-inbound-ports': inherited(
    ports((settings, value) => {
      settings.requireIdentityInboundPorts = value
    }),
  ),
  // Always computed; what is written there does not count.
  'config.linkerd.io/pod-inbound-ports': own(ignored),
  'config.linkerd.io/proxy-cpu-request': inherited(
    quantity((settings, value) => {
      settings.proxy.resources.cpu.request = value
    }),
  ),
  'config.linkerd.io/proxy-cpu-limit': inherited(
    quantity((settings, value) => {
      settings.proxy.resources.cpu.limit = value
    }),
  ),
  'config.linkerd.io/proxy-cpu-ratio-limit': own((value, settings) => {
    const ratio = /^0?\.\d+$/.test(value) ? Number(value) : Number.NaN
    if (!(ratio > 0 && ratio < 1)) return 'it is a number between 0 and 1'
    setEnv(settings, { name: 'LINKERD2_PROXY_CORES_MAX_RATIO', value })
    return undefined
  }),
  'config.linkerd.io/proxy-memory-request': inherited(
    quantity((settings, value) => {
      settings.proxy.resources.memory.request = value
    }),
  ),
  'config.linkerd.io/proxy-memory-limit': inherited(
    quantity((settings, value) => {
      settings.proxy.resources.memory.limit = value
    }),
  ),
  'config.linkerd.io/proxy-ephemeral-storage-request': inherited(
    quantity((settings, value) => {
      settings.ephemeralStorage.request = value
    }),
  ),
  'config.linkerd.io/proxy-ephemeral-storage-limit': inherited(
    quantity((settings, value) => {
      settings.ephemeralStorage.limit = value
    }),
  ),
  // Not 0: redirection tells the proxy's own traffic by its user, and root would be everyone.
  'config.linkerd.io/proxy-uid': inherited(
    wholeNumber(1, 2_147_483_647, (settings, value) => {
      settings.proxy.uid = value
    }),
  ),
  'config.linkerd.io/proxy-gid': inherited(
    wholeNumber(0, 2_147_483_647, (settings, value) => {
      settings.proxy.gid = value
    }),
  ),
  'config.linkerd.io/proxy-log-level': inherited(
    matching(
      /^[\w:[\]{}.=,\-\s/"]+$/,
      'it is no list of directives such as warn,linkerd=debug',
      (settings, value) => {
        settings.proxy.logLevel = value
      },
    ),
  ),
  'config.linkerd.io/proxy-log-format': inherited(
    oneOf(['plain', 'json'], (settings, value) => {
      settings.proxy.logFormat = value as ProxyValues['logFormat']
    }),
  ),
  'config.linkerd.io/proxy-log-http-headers': inherited(
    oneOf(['off', 'insecure'], (settings, value) => {
      if (value === 'insecure')
        settings.warnings.push(
          'config.linkerd.io/proxy-log-http-headers has no effect: the proxy never logs headers',
        )
    }),
  ),
  'config.linkerd.io/access-log': inherited(
    oneOf(['apache', 'json'], (settings, value) => {
      settings.proxy.accessLog = value as ProxyValues['accessLog']
    }),
  ),
  'config.linkerd.io/proxy-metrics-hostname-labels': inherited(
    flag((settings, isOn) => {
      setEnv(settings, { name: 'LINKERD2_PROXY_OUTBOUND_METRICS_HOSTNAME_LABELS', value: String(isOn) })
    }),
  ),
  'config.linkerd.io/proxy-inbound-connect-timeout': inherited(
    duration((settings, value) => {
      settings.proxy.inboundConnectTimeout = value
    }),
  ),
  'config.linkerd.io/proxy-outbound-connect-timeout': inherited(
    duration((settings, value) => {
      settings.proxy.outboundConnectTimeout = value
    }),
  ),
  'config.linkerd.io/proxy-inbound-discovery-cache-unused-timeout': inherited(
    duration((settings, value) => {
      settings.proxy.inboundDiscoveryCacheUnusedTimeout = value
    }),
  ),
  'config.linkerd.io/proxy-outbound-discovery-cache-unused-timeout': inherited(
    duration((settings, value) => {
      settings.proxy.outboundDiscoveryCacheUnusedTimeout = value
    }),
  ),
  'config.linkerd.io/proxy-disable-inbound-protocol-detect-timeout': inherited(noDetectTimeout('INBOUND')),
  'config.linkerd.io/proxy-disable-outbound-protocol-detect-timeout': inherited(noDetectTimeout('OUTBOUND')),
  'config.linkerd.io/close-wait-timeout': own(
    needless(
      duration(() => {}),
      'config.linkerd.io/close-wait-timeout',
      'the kernel settings of the pod are left alone',
    ),
  ),
  'config.linkerd.io/proxy-await': inherited(
    oneOf(switches, (settings, value) => {
      settings.isAwaited = value === 'enabled'
    }),
  ),
  'config.linkerd.io/proxy-admin-shutdown': inherited(
    oneOf(switches, (settings, value) => {
      setEnv(settings, {
        name: 'LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED',
        value: String(value === 'enabled'),
      })
    }),
  ),
  'config.linkerd.io/shutdown-grace-period': inherited(
    duration((settings, value) => {
      settings.proxy.shutdownGracePeriod = value
    }),
  ),
  'config.alpha.linkerd.io/proxy-wait-before-exit-seconds': inherited(
    needless(
      wholeNumber(0, 86_400, () => {}),
      'config.alpha.linkerd.io/proxy-wait-before-exit-seconds',
      'a native sidecar ends after the other containers',
    ),
  ),
  'config.linkerd.io/proxy-enable-native-sidecar': inherited(
    nativeSidecar('config.linkerd.io/proxy-enable-native-sidecar'),
  ),
  'config.alpha.linkerd.io/proxy-enable-native-sidecar': inherited(
    nativeSidecar('config.alpha.linkerd.io/proxy-enable-native-sidecar'),
  ),
  'config.beta.linkerd.io/proxy-enable-native-sidecar': own(
    nativeSidecar('config.beta.linkerd.io/proxy-enable-native-sidecar'),
  ),
  'config.linkerd.io/default-inbound-policy': inherited(
    oneOf(inboundPolicies, (settings, value) => {
      settings.proxy.defaultInboundPolicy = value
    }),
  ),
  'config.linkerd.io/enable-external-profiles': inherited(
    flag((settings, isOn) => {
      if (isOn) setEnv(settings, { name: 'LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES', value: '.' })
    }),
  ),
  'config.linkerd.io/enable-gateway': own(
    flag((settings, isOn, { clusterDomain }) => {
      if (!isOn) return
      const value = `svc.${clusterDomain}.`
      setEnv(settings, { name: 'LINKERD2_PROXY_INBOUND_GATEWAY_SUFFIXES', value })
    }),
  ),
  'config.linkerd.io/proxy-additional-env': inherited(additionalEnvironment),
  // Of the namespace alone; the API server has read it before it asked.
  'config.linkerd.io/admission-webhooks': own(ignored),
}
