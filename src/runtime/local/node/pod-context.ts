import { spawn } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { addresses, clusterDomain } from '../addresses.ts'
import type { PodLink } from '../network/pod-network.ts'
import type { Container, Pod } from '../objects.ts'
import { killInside } from './container-process.ts'
import type { EtcFiles } from './container-root.ts'
import type { ConfigSource, PodFacts } from './env-vars.ts'
import type { EventSubject } from './events.ts'
import type { NodeParts } from './parts.ts'
import type { PortRelay } from './port-relay.ts'
import { PodVolumes } from './volumes.ts'

/** What the containers of one pod share. */
export class PodContext {
  readonly parts: NodeParts
  readonly volumes: PodVolumes
  /** In memory: roots and volumes. */
  readonly folder: string
  readonly logFolder: string
  /** The latest version of the pod. */
  pod: Pod
  /** Absent before the network is there, and for pods on the node's own network. */
  link: PodLink | undefined
  /** Made when the first port is forwarded. */
  relay: PortRelay | undefined
  /** Called when something changed that the status tells. */
  readonly onChange: () => void

  readonly #waiting = new Set<() => void>()

  constructor(parts: NodeParts, pod: Pod, onChange: () => void) {
    const { namespace, name, uid = '' } = pod.metadata
    this.parts = parts
    this.pod = pod
    this.onChange = onChange
    this.folder = join(parts.workFolder, 'pods', uid)
    this.logFolder = join(parts.logFolder, `${namespace}_${name}_${uid}`)
    this.volumes = new PodVolumes(parts, join(this.folder, 'volumes'))
  }

  /** A ConfigMap or Secret of the namespace, or the image table, may have changed. */
  configChanged(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** Waits a while, or until {@link configChanged} is called, or the signal aborts. */
  async waitForConfig(longestMs: number, signal: AbortSignal): Promise<void> {
    const changed = new AbortController()
    const wake = () => changed.abort(new Error('changed'))
    this.#waiting.add(wake)
    const either = AbortSignal.any([changed.signal, signal])
    await this.parts.cluster.clock.sleep(longestMs, either).catch(() => undefined)
    this.#waiting.delete(wake)
  }

  get hasOwnNetwork(): boolean {
    return this.pod.spec.hostNetwork !== true
  }

  get podIps(): string[] {
    if (!this.hasOwnNetwork) return [addresses.node]
    return this.link === undefined ? [] : [this.link.ipv4, this.link.ipv6]
  }

  facts(): PodFacts {
    return {
      pod: this.pod,
      hostIp: addresses.node,
      podIps: this.podIps,
      capacity: { cpus: cpus().length, memoryBytes: totalmem() },
    }
  }

  configSource(): ConfigSource {
    const { configMaps, secrets } = this.parts.cluster.cache
    const { namespace } = this.pod.metadata
    return {
      configMap: (name) => configMaps.get(name, namespace),
      secret: (name) => secrets.get(name, namespace),
    }
  }

  hostname(): string {
    if (!this.hasOwnNetwork) return 'mesh-local'
    const { hostname, setHostnameAsFQDN } = this.pod.spec
    const short = (hostname ?? this.pod.metadata.name).slice(0, 63)
    const full = this.#fullName(short)
    return setHostnameAsFQDN && full !== undefined ? full : short
  }

  #fullName(hostname: string): string | undefined {
    const { subdomain } = this.pod.spec
    if (!subdomain) return undefined
    return `${hostname}.${subdomain}.${this.pod.metadata.namespace}.svc.${clusterDomain}`
  }

  /** The files by which programs find names. */
  etcFiles(): EtcFiles {
    const { hostname, hostAliases = [] } = this.pod.spec
    const short = hostname ?? this.pod.metadata.name
    const full = this.#fullName(short)
    const own = full === undefined ? [short] : [full, short]
    const lines = [
      '127.0.0.1 localhost',
      '::1 localhost ip6-localhost ip6-loopback',
      ...this.podIps.map((ip) => `${ip} ${own.join(' ')}`),
      ...hostAliases.map(({ ip, hostnames = [] }) => `${ip} ${hostnames.join(' ')}`),
    ]
    return {
      hostname: `${this.hostname()}\n`,
      hosts: `${lines.join('\n')}\n`,
      'resolv.conf': this.#resolvConf(),
    }
  }

  #resolvConf(): string {
    const { dnsPolicy = 'ClusterFirst', dnsConfig = {} } = this.pod.spec
    const isOwn = dnsPolicy === 'None'
    const nameservers = [...(isOwn ? [] : [addresses.dnsService]), ...(dnsConfig.nameservers ?? [])]
    const clusterSearches = [
      `${this.pod.metadata.namespace}.svc.${clusterDomain}`,
      `svc.${clusterDomain}`,
      clusterDomain,
    ]
    const searches = [...(isOwn ? [] : clusterSearches), ...(dnsConfig.searches ?? [])]
    const given = (dnsConfig.options ?? []).map(({ name = '', value }) => (value ? `${name}:${value}` : name))
    const hasNdots = given.some((option) => option.startsWith('ndots:'))
    const options = isOwn || hasNdots ? given : ['ndots:5', ...given]
    return [
      ...nameservers.map((server) => `nameserver ${server}`),
      ...(searches.length === 0 ? [] : [`search ${searches.join(' ')}`]),
      ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
      '',
    ].join('\n')
  }

  /** What an event of a container, or of the whole pod, is about. */
  subject(container?: Container): EventSubject {
    const isInit = container && !this.pod.spec.containers.some(({ name }) => name === container.name)
    const list = isInit ? 'initContainers' : 'containers'
    return {
      kind: 'Pod',
      apiVersion: 'v1',
      object: this.pod,
      ...(container === undefined ? {} : { fieldPath: `spec.${list}{${container.name}}` }),
    }
  }
}

const longestOutput = 10_000

/** Runs a command line to its end and keeps what it printed. When the signal aborts, it is killed. */
export function runToEnd(
  [program = '', ...args]: string[],
  signal: AbortSignal,
): Promise<{ exitCode: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: {} })
    let output = ''
    const keep = (text: string) => {
      if (output.length < longestOutput) output += text
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    const onAbort = () => {
      killInside(child)
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    child.on('error', reject)
    child.on('close', (code) => {
      signal.removeEventListener('abort', onAbort)
      resolve({ exitCode: code ?? 137, output: output.slice(0, longestOutput) })
    })
  })
}
