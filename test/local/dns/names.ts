import type { DnsSource } from '../../../src/runtime/local/dns/records.ts'
import type { Endpoint, EndpointSlice, Service } from '../../../src/runtime/local/objects.ts'

const endpoint = (address: string, ready = true, hostname?: string): Endpoint => ({
  addresses: [address],
  conditions: { ready, serving: ready, terminating: false },
  ...(hostname === undefined ? {} : { hostname }),
})

const services: Service[] = [
  {
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      clusterIP: '10.96.0.7',
      ports: [
        { name: 'http', port: 80 },
        { name: 'dns', port: 53, protocol: 'UDP' },
      ],
    },
  },
  {
    metadata: { name: 'each', namespace: 'shop' },
    spec: { clusterIP: 'None', ports: [{ name: 'db', port: 5432 }] },
  },
  { metadata: { name: 'empty', namespace: 'shop' }, spec: { clusterIP: 'None', ports: [] } },
  {
    metadata: { name: 'other', namespace: 'shop' },
    spec: { type: 'ExternalName', externalName: 'db.example.com' },
  },
]

const slices: EndpointSlice[] = [
  {
    metadata: { name: 'each-0', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'each' } },
    addressType: 'IPv4',
    endpoints: [endpoint('10.244.0.2', true, 'first'), endpoint('10.244.0.3'), endpoint('10.244.0.4', false)],
    ports: [{ name: 'db', port: 5432 }],
  },
]

/** A few services, one of each kind. */
export const source: DnsSource = {
  service: (name, namespace) =>
    services.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace),
  services: () => services,
  slices: () => slices,
  hasNamespace: (name) => name === 'shop',
}
