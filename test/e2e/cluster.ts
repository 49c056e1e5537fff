import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { build } from 'esbuild'
import { root } from '../support/source-tree.ts'
import type { CallResult } from './app/calls.ts'

export interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs a program to its end and returns all it said. */
export function execute(
  command: string,
  args: string[],
  options: { stdin?: string; env?: Record<string, string>; deadlineMs?: number } = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, NO_COLOR: '1', ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), options.deadlineMs ?? 120_000)
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString('utf8')
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('utf8')
    })
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, stdout, stderr })
    })
    child.stdin.on('error', () => {
      // The program ended before it had read everything; its exit code tells.
    })
    child.stdin.end(options.stdin ?? '')
  })
}

/** Tries until the check returns a value other than `undefined`; the last failure is the error. */
export async function until<T>(
  what: string,
  check: () => Promise<T | undefined>,
  deadlineMs = 60_000,
): Promise<T> {
  const endMs = Date.now() + deadlineMs
  let last: unknown
  while (Date.now() < endMs) {
    try {
      const value = await check()
      if (value !== undefined) return value
      last = undefined
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${what}: not within ${deadlineMs} ms${last === undefined ? '' : ` (${String(last)})`}`)
}

export interface Cluster {
  /** The folder that holds all state of this cluster. */
  home: string
  env: Record<string, string>
  mesh(args: string[], stdin?: string): Promise<Finished>
  kubectl(args: string[], stdin?: string): Promise<Finished>
  /** As `kubectl`, but anything but success is an error. */
  mustKubectl(args: string[], stdin?: string): Promise<string>
  /** GET through the API server to a port of a pod. */
  podGet(namespace: string, pod: string, port: number, pathAndQuery: string): Promise<string>
  stop(): Promise<void>
}

/** Runs `mesh`, as a user would. */
export function mesh(
  args: string[],
  options: { stdin?: string; env?: Record<string, string> } = {},
): Promise<Finished> {
  return execute(process.execPath, [path.join(root, 'bin/run.js'), ...args], options)
}

/** A local cluster of its own, named after the test. */
export async function startCluster(name: string): Promise<Cluster> {
  const home = await mkdtemp(path.join(tmpdir(), `mesh-${name}-`))
  const env = { MESH_HOME: home, KUBECONFIG: path.join(home, 'local', name, 'kubeconfig'), HOME: home }
  const image = `${peerImage}=${process.execPath} ${await buildPeer()}`
  const started = await mesh(['local', 'start', '--name', name, '--image', image], { env })
  if (started.code !== 0) throw new Error(`mesh local start: ${started.stderr}${started.stdout}`)
  const kubectl = (args: string[], stdin?: string) =>
    execute('kubectl', args, { env, ...(stdin === undefined ? {} : { stdin }) })
  const mustKubectl = async (args: string[], stdin?: string) => {
    const finished = await kubectl(args, stdin)
    if (finished.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${finished.stderr}`)
    return finished.stdout
  }
  return {
    home,
    env,
    mesh: (args, stdin) => mesh(args, { env, ...(stdin === undefined ? {} : { stdin }) }),
    kubectl,
    mustKubectl,
    podGet: (namespace, pod, port, pathAndQuery) =>
      mustKubectl([
        'get',
        '--raw',
        `/api/v1/namespaces/${namespace}/pods/${pod}:${port}/proxy${pathAndQuery}`,
      ]),
    async stop() {
      const stopped = await mesh(['local', 'stop', '--name', name], { env })
      await rm(home, { recursive: true, force: true })
      if (stopped.code !== 0) throw new Error(`mesh local stop: ${stopped.stderr}`)
    },
  }
}

/** The seed's own sequence: `mesh install --crds | kubectl apply -f -`, `mesh install | kubectl apply -f -`, `mesh check`. */
export async function installMesh(cluster: Cluster, flags: string[] = []): Promise<void> {
  for (const args of [
    ['install', '--crds'],
    ['install', ...flags],
  ]) {
    const rendered = await cluster.mesh(args)
    if (rendered.code !== 0) throw new Error(`mesh ${args.join(' ')}: ${rendered.stderr}`)
    await cluster.mustKubectl(['apply', '-f', '-'], rendered.stdout)
  }
  const checked = await cluster.mesh(['check', '--wait', '90s'])
  if (checked.code !== 0) throw new Error(`mesh check: ${checked.stdout}${checked.stderr}`)
}

/** The image of the test application in every cluster that {@link startCluster} starts. */
const peerImage = 'localhost/peer'

/** Bundles the test application and returns the file's path. */
async function buildPeer(): Promise<string> {
  const outfile = path.join(root, 'dist/test/peer.mjs')
  await build({
    entryPoints: [path.join(root, 'test/e2e/app/peer.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  })
  return outfile
}

export interface PeerOptions {
  namespace: string
  name: string
  meshed: boolean
  replicas?: number
  annotations?: Record<string, string>
}

const peerPorts = [
  ['http1', 8080],
  ['http2', 8081],
  ['grpc', 8082],
  ['tcp', 8083],
  ['server-first', 8084],
  ['control', 9000],
] as const

/** Namespace, ServiceAccount, Service and Deployment of one peer, as JSON for `kubectl apply -f -`. */
export function peerManifest(options: PeerOptions): string {
  const { namespace, name } = options
  const metadata = { namespace, name }
  const inject = options.meshed ? 'enabled' : 'disabled'
  const container = {
    name: 'peer',
    image: peerImage,
    env: [{ name: 'PEER_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
    ports: peerPorts.map(([portName, containerPort]) => ({ name: portName, containerPort })),
    readinessProbe: { httpGet: { path: '/ready', port: 9000 }, periodSeconds: 1 },
  }
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        selector: { app: name },
        ports: peerPorts.map(([portName, port]) => ({ name: portName, port })),
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: options.replicas ?? 1,
        selector: { matchLabels: { app: name } },
        template: {
          metadata: {
            labels: { app: name },
            annotations: { 'linkerd.io/inject': inject, ...options.annotations },
          },
          spec: { serviceAccountName: name, terminationGracePeriodSeconds: 5, containers: [container] },
        },
      },
    },
  ]
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
}

/** Applies a peer and waits until it is rolled out. */
export async function deployPeer(cluster: Cluster, options: PeerOptions): Promise<void> {
  await cluster.mustKubectl(['apply', '-f', '-'], peerManifest(options))
  await cluster.mustKubectl([
    'rollout',
    'status',
    `deploy/${options.name}`,
    '-n',
    options.namespace,
    '--timeout=60s',
  ])
}

/** Names of the running pods of a peer. */
export async function podsOf(cluster: Cluster, namespace: string, name: string): Promise<string[]> {
  const listed = await cluster.mustKubectl([
    'get',
    'pods',
    '-n',
    namespace,
    '-l',
    `app=${name}`,
    '-o',
    'json',
  ])
  const pods = JSON.parse(listed) as { items: { metadata: { name: string; deletionTimestamp?: string } }[] }
  return pods.items
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .map((pod) => pod.metadata.name)
}

export type Protocol = (typeof peerPorts)[number][0]

/** Lets a pod call a service and returns what came of it. */
export async function call(
  cluster: Cluster,
  from: { namespace: string; pod: string },
  to: { host: string; protocol: Protocol; payload?: string; path?: string },
): Promise<CallResult> {
  const port = peerPorts.find(([name]) => name === to.protocol)?.[1]
  const query = new URLSearchParams({
    protocol: to.protocol,
    host: to.host,
    port: String(port),
    payload: to.payload ?? 'payload',
    path: to.path ?? '/',
  })
  return JSON.parse(
    await cluster.podGet(from.namespace, from.pod, 9000, `/call?${query.toString()}`),
  ) as CallResult
}

/** One sample of a metrics page. */
export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** The metrics of a pod's proxy. */
export async function proxyMetrics(cluster: Cluster, namespace: string, pod: string): Promise<Sample[]> {
  const page = await cluster.podGet(namespace, pod, 4191, '/metrics')
  return page.split('\n').flatMap((line) => {
    const found = line.match(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/)
    if (found?.[1] === undefined) return []
    const pairs = [...(found[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
    const labels = Object.fromEntries(pairs.map((pair) => [pair[1] ?? '', pair[2] ?? '']))
    return [{ name: found[1], labels, value: Number(found[3]) }]
  })
}

/** A hook whose failure is shown: uvu reports that no test ran, but not why. */
export function shown(hook: () => Promise<void>): () => Promise<void> {
  return async () => {
    try {
      await hook()
    } catch (error) {
      console.error(error)
      throw error
    }
  }
}
