import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Host, hosts, type Started, shell, start } from './sandbox.ts'

/** CPU of the proxies; the generator, the backend and control planes share the other. */
export const proxyCpu = 0
export const otherCpu = 1
/** The backend's port on the server host. */
export const backendPort = 8000
/** Where a proxy of the client host listens when it is not transparent, and where the server host's takes mutual TLS. */
const clientPort = 9001
const serverPort = 9002

/** How a contender is wired for one run. */
export interface Running {
  proxies: Started[]
  /** What the generator, on the client host, asks for. */
  url: string
}

/** A proxy to measure. Topologies: two proxies with mutual TLS between, or one without TLS. */
export interface Contender {
  name: string
  pair(folder: string): Running
  single?(folder: string): Running
  /** Of one stripped binary. */
  binary: string
}

function write(folder: string, name: string, text: string): string {
  const file = path.join(folder, name)
  writeFileSync(file, text)
  return file
}

function haproxyConfig(listen: string, server: string): string {
  return `global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
listen hop
  ${listen}
  ${server}
`
}

const haproxy: Contender = {
  name: 'haproxy (h2 between)',
  binary: '/usr/sbin/haproxy',
  pair(folder) {
    const pem = path.join(folder, 'peer-bundle.pem')
    const ca = path.join(folder, 'ca.pem')
    const outbound = haproxyConfig(
      `bind 127.0.0.1:${clientPort}`,
      `server peer ${hosts.server.ip}:${serverPort} ssl crt ${pem} ca-file ${ca} verify required verifyhost peer.bench alpn h2 ssl-min-ver TLSv1.3`,
    )
    const inbound = haproxyConfig(
      `bind 0.0.0.0:${serverPort} ssl crt ${pem} ca-file ${ca} verify required alpn h2 ssl-min-ver TLSv1.3`,
      `server app 127.0.0.1:${backendPort}`,
    )
    return {
      proxies: [
        start('haproxy out', 'client', proxyCpu, [
          'haproxy',
          '-db',
          '-f',
          write(folder, 'haproxy-out.cfg', outbound),
        ]),
        start('haproxy in', 'server', proxyCpu, [
          'haproxy',
          '-db',
          '-f',
          write(folder, 'haproxy-in.cfg', inbound),
        ]),
      ],
      url: `http://127.0.0.1:${clientPort}/`,
    }
  },
  single(folder) {
    const config = haproxyConfig(
      `bind 127.0.0.1:${clientPort}`,
      `server app ${hosts.server.ip}:${backendPort}`,
    )
    const argv = ['haproxy', '-db', '-f', write(folder, 'haproxy-one.cfg', config)]
    return { proxies: [start('haproxy', 'client', proxyCpu, argv)], url: `http://127.0.0.1:${clientPort}/` }
  },
}

function nginxConfig(folder: string, name: string, listen: string, location: string): string {
  return `daemon off; worker_processes 1; pid ${folder}/${name}.pid; error_log stderr error;
events { worker_connections 10000; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2; fastcgi_temp_path ${folder}/t3; uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
  ${location.includes('upstream') ? '' : ''}
  ${listen}
  ${location}
}
`
}

const nginx: Contender = {
  name: 'nginx (h1 between)',
  binary: '/usr/sbin/nginx',
  pair(folder) {
    const tls = `ssl_certificate ${folder}/peer.pem; ssl_certificate_key ${folder}/peer.key; ssl_client_certificate ${folder}/ca.pem; ssl_verify_client on; ssl_protocols TLSv1.3;`
    const upstreamTls = `proxy_ssl_certificate ${folder}/peer.pem; proxy_ssl_certificate_key ${folder}/peer.key; proxy_ssl_trusted_certificate ${folder}/ca.pem; proxy_ssl_verify on; proxy_ssl_name peer.bench; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3;`
    const forward = 'proxy_http_version 1.1; proxy_set_header Connection "";'
    const outbound = nginxConfig(
      folder,
      'nginx-out',
      `upstream peer { server ${hosts.server.ip}:${serverPort}; keepalive 256; keepalive_requests 1000000000; }`,
      `server { listen 127.0.0.1:${clientPort}; location / { proxy_pass https://peer; ${forward} ${upstreamTls} } }`,
    )
    const inbound = nginxConfig(
      folder,
      'nginx-in',
      `upstream app { server 127.0.0.1:${backendPort}; keepalive 256; keepalive_requests 1000000000; }`,
      `server { listen ${serverPort} ssl; ${tls} location / { proxy_pass http://app; ${forward} } }`,
    )
    return {
      proxies: [
        start('nginx out', 'client', proxyCpu, [
          'nginx',
          '-e',
          'stderr',
          '-c',
          write(folder, 'nginx-out.conf', outbound),
        ]),
        start('nginx in', 'server', proxyCpu, [
          'nginx',
          '-e',
          'stderr',
          '-c',
          write(folder, 'nginx-in.conf', inbound),
        ]),
      ],
      url: `http://127.0.0.1:${clientPort}/`,
    }
  },
  single(folder) {
    const config = nginxConfig(
      folder,
      'nginx-one',
      `upstream app { server ${hosts.server.ip}:${backendPort}; keepalive 256; keepalive_requests 1000000000; }`,
      `server { listen 127.0.0.1:${clientPort}; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; } }`,
    )
    const argv = ['nginx', '-e', 'stderr', '-c', write(folder, 'nginx-one.conf', config)]
    return { proxies: [start('nginx', 'client', proxyCpu, argv)], url: `http://127.0.0.1:${clientPort}/` }
  },
}

interface EnvoyHop {
  listenAddress: string
  listenPort: number
  address: string
  port: number
  downstreamTls?: object
  upstreamTls?: object
  http2: boolean
}

function envoyConfig(hop: EnvoyHop): string {
  const typed = (name: string, value: object) => ({ '@type': `type.googleapis.com/${name}`, ...value })
  const manager = typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'hop',
    codec_type: 'AUTO',
    generate_request_id: false,
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'next' } }] },
      ],
    },
    http_filters: [
      { name: 'router', typed_config: typed('envoy.extensions.filters.http.router.v3.Router', {}) },
    ],
  })
  const transport = (kind: 'Downstream' | 'Upstream', context: object | undefined) =>
    context === undefined
      ? {}
      : {
          transport_socket: {
            name: 'tls',
            typed_config: typed(`envoy.extensions.transport_sockets.tls.v3.${kind}TlsContext`, context),
          },
        }
  const address = (host: string, port: number) => ({ socket_address: { address: host, port_value: port } })
  return JSON.stringify({
    static_resources: {
      listeners: [
        {
          name: 'in',
          address: address(hop.listenAddress, hop.listenPort),
          filter_chains: [
            {
              filters: [{ name: 'http', typed_config: manager }],
              ...transport('Downstream', hop.downstreamTls),
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'next',
          connect_timeout: '5s',
          type: 'STATIC',
          load_assignment: {
            cluster_name: 'next',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(hop.address, hop.port) } }] }],
          },
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
              'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              {
                explicit_http_config: hop.http2
                  ? { http2_protocol_options: {} }
                  : { http_protocol_options: {} },
              },
            ),
          },
          ...transport('Upstream', hop.upstreamTls),
        },
      ],
    },
  })
}

function envoyTls(folder: string): object {
  return {
    tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
    tls_certificates: [
      {
        certificate_chain: { filename: path.join(folder, 'peer.pem') },
        private_key: { filename: path.join(folder, 'peer.key') },
      },
    ],
    validation_context: { trusted_ca: { filename: path.join(folder, 'ca.pem') } },
    alpn_protocols: ['h2'],
  }
}

const envoyBinary = path.resolve('target/bench/envoy')

function startEnvoy(folder: string, name: string, host: Host, hop: EnvoyHop): Started {
  const file = write(folder, `${name}.json`, envoyConfig(hop))
  const argv = [
    envoyBinary,
    '-c',
    file,
    '--concurrency',
    '1',
    '--disable-hot-restart',
    '--log-level',
    'error',
  ]
  return start(name, host, proxyCpu, argv)
}

const envoy: Contender = {
  name: 'envoy (h2 between)',
  binary: envoyBinary,
  pair(folder) {
    const common = envoyTls(folder)
    return {
      proxies: [
        startEnvoy(folder, 'envoy-out', 'client', {
          listenAddress: '127.0.0.1',
          listenPort: clientPort,
          address: hosts.server.ip,
          port: serverPort,
          upstreamTls: { common_tls_context: common, sni: 'peer.bench' },
          http2: true,
        }),
        startEnvoy(folder, 'envoy-in', 'server', {
          listenAddress: '0.0.0.0',
          listenPort: serverPort,
          address: '127.0.0.1',
          port: backendPort,
          downstreamTls: { common_tls_context: common, require_client_certificate: true },
          http2: false,
        }),
      ],
      url: `http://127.0.0.1:${clientPort}/`,
    }
  },
  single(folder) {
    const hop = {
      listenAddress: '127.0.0.1',
      listenPort: clientPort,
      address: hosts.server.ip,
      port: backendPort,
      http2: false,
    }
    return {
      proxies: [startEnvoy(folder, 'envoy-one', 'client', hop)],
      url: `http://127.0.0.1:${clientPort}/`,
    }
  },
}

const proxyUid = 2102

/** Loads the redirect rules of the mesh on a host, by our own binary. */
function redirect(host: Host): void {
  const flags =
    '--incoming-proxy-port 4143 --outgoing-proxy-port 4140 --proxy-uid 2102 --inbound-ports-to-ignore 4190,4191'
  shell(`ip netns exec ${host} ${path.resolve('target/release/linkerd-proxy')} redirect ${flags}`)
}

export function clearRedirect(): void {
  for (const host of Object.keys(hosts)) shell(`ip netns exec ${host} nft flush ruleset 2>/dev/null || true`)
}

/**
 * A transparent proxy that speaks the public proxy API: ours, or another whose binary is given. A control plane on each
 * host's loopback answers it.
 */
export function meshContender(name: string, binary: string): Contender {
  return {
    name,
    binary,
    pair(folder) {
      const proxies = (Object.keys(hosts) as Host[]).map((host) => {
        redirect(host)
        return start(`${name} ${host}`, host, proxyCpu, [binary], {
          uid: proxyUid,
          env: meshEnvironment(folder, host),
        })
      })
      return { proxies, url: `http://${hosts.server.ip}:${backendPort}/` }
    },
  }
}

function meshEnvironment(folder: string, host: Host): Record<string, string> {
  const identity = `${host}.bench.serviceaccount.identity.linkerd.cluster.local`
  // linkerd2-proxy wants a key and a request on disk; ours makes its own in memory.
  const directory = path.join(folder, `identity-${host}`)
  if (!existsSync(directory)) {
    mkdirSync(directory)
    shell(`cd ${directory} && openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -outform DER -out key.p8 &&
      openssl req -new -keyform DER -key key.p8 -outform DER -out csr.der -subj /CN=${identity} -addext subjectAltName=DNS:${identity} && chmod -R a+rX .`)
    chmodSync(directory, 0o755)
  }
  const prefixed: Record<string, string> = {
    LOG: 'warn',
    CONTROL_LISTEN_ADDR: '0.0.0.0:4190',
    ADMIN_LISTEN_ADDR: '0.0.0.0:4191',
    INBOUND_LISTEN_ADDR: '0.0.0.0:4143',
    OUTBOUND_LISTEN_ADDR: '127.0.0.1:4140',
    INBOUND_IPS: hosts[host].ip,
    INBOUND_PORTS: String(backendPort),
    INBOUND_DEFAULT_POLICY: 'all-unauthenticated',
    DESTINATION_SVC_ADDR: '127.0.0.1:8086',
    DESTINATION_CONTEXT: '{"ns":"bench"}',
    DESTINATION_PROFILE_SUFFIXES: 'svc.cluster.local.',
    DESTINATION_PROFILE_NETWORKS: '10.0.0.0/8',
    POLICY_SVC_ADDR: '127.0.0.1:8090',
    POLICY_WORKLOAD: `{"ns":"bench","pod":"${host}"}`,
    POLICY_CLUSTER_NETWORKS: '10.0.0.0/8',
    IDENTITY_SVC_ADDR: '127.0.0.1:8080',
    IDENTITY_DIR: directory,
    IDENTITY_LOCAL_NAME: identity,
    IDENTITY_TOKEN_FILE: path.join(folder, 'token'),
    IDENTITY_TRUST_ANCHORS: shell(`cat ${folder}/ca.pem`),
  }
  return Object.fromEntries(Object.entries(prefixed).map(([key, value]) => [`LINKERD2_PROXY_${key}`, value]))
}

export const standardContenders: Contender[] = [
  meshContender('mesh', path.resolve('target/release/linkerd-proxy')),
  haproxy,
  nginx,
  envoy,
]
