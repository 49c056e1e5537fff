import { readFile } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { Deployment, EndpointSlice, Pod, Service } from '../../../src/runtime/local/objects.ts'
import { until } from '../../support/until.ts'
import { script, startTestCluster, stay, type TestCluster } from '../node/test-cluster.ts'

const test = suite('local/network/traffic')
let cluster: TestCluster

/** Answers every connection with the pod's name. */
const nameServer = `exec ${process.execPath} -e 'require("net").createServer((s) => s.on("error", () => 0).end(require("os").hostname() + "\\n")).listen(8080)'`

test.before(async () => {
  cluster = await startTestCluster()
  await cluster.client.create<Deployment>(resources.deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'names', namespace: 'default' },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'names' } },
      template: {
        metadata: { labels: { app: 'names' } },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [
            script('c', nameServer, {
              ports: [{ name: 'tcp', containerPort: 8080 }],
              readinessProbe: { tcpSocket: { port: 'tcp' } },
            }),
          ],
        },
      },
    },
  })
  await createService('names', {
    selector: { app: 'names' },
    ports: [{ name: 'tcp', port: 80, targetPort: 'tcp' }],
  })
  await createService('each', {
    clusterIP: 'None',
    selector: { app: 'names' },
    ports: [{ name: 'tcp', port: 8080 }],
  })
  await createService('nobody', { selector: { app: 'nobody' }, ports: [{ port: 80 }] })
  await cluster.createPod('client', { containers: [script('c', stay)] })
  await cluster.untilPod('client', 'runs', ({ status }) => status?.phase === 'Running')
  await until('three endpoints are ready', async () => (await readyAddresses()).length === 3)
})

test.after(() => cluster.stop())

function createService(name: string, spec: Service['spec']): Promise<Service> {
  const metadata = { name, namespace: 'default' }
  return cluster.client.create<Service>(resources.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec,
  })
}

async function readyAddresses(): Promise<string[]> {
  const { items } = await cluster.client.list<EndpointSlice>(resources.endpointSlices, {
    namespace: 'default',
  })
  const own = items.filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === 'names')
  const endpoints = own.flatMap((slice) => slice.endpoints ?? [])
  return endpoints.filter(({ conditions }) => conditions.ready).flatMap(({ addresses }) => addresses)
}

/** Runs a script in a new pod to its end and answers with the lines it printed. */
async function runScript(name: string, text: string, more: Partial<Pod['spec']> = {}): Promise<string[]> {
  await cluster.createPod(name, { restartPolicy: 'Never', containers: [script('c', text)], ...more })
  await cluster.untilPod(name, 'has ended', ({ status }) =>
    ['Succeeded', 'Failed'].includes(status?.phase ?? ''),
  )
  return (await cluster.logs(name)).trim().split('\n')
}

const ask = (host: string, port: number) => `exec 3<>/dev/tcp/${host}/${port} && cat <&3`
const asBash = (text: string) => ({ containers: [{ ...script('c', ''), command: ['bash', '-c', text] }] })

test('spreads connections to a ClusterIP over the pods behind it, by DNS name', async () => {
  const text = `for i in $(seq 40); do (${ask('names', 80)}); done`
  const names = await runScript('spread', '', asBash(text))
  assert.is(names.length, 40)
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  assert.is(counts.size, 3, JSON.stringify([...counts]))
})

test('lets pods reach each other directly, IPv4 and IPv6, and shows their own addresses', async () => {
  const [pod] = (
    await cluster.client.list<Pod>(resources.pods, { namespace: 'default', labelSelector: 'app=names' })
  ).items
  const [ipv4 = '', ipv6 = ''] = pod?.status?.podIPs?.map(({ ip }) => ip) ?? []
  const names = await runScript('direct', '', asBash(`(${ask(ipv4, 8080)}); (${ask(ipv6, 8080)})`))
  assert.equal(names, [pod?.metadata.name, pod?.metadata.name])
})

test('lets a pod reach itself through its service', async () => {
  await createService('self', { selector: { app: 'self' }, ports: [{ port: 80, targetPort: 8080 }] })
  const text = `${nameServer.replace('exec ', '')} & until (${ask('self', 80)}) 2>/dev/null; do sleep 0.05; done; kill %1`
  await cluster.createPod('self', { restartPolicy: 'Never', ...asBash(text) }, { labels: { app: 'self' } })
  await until('it has reached itself', async () => (await cluster.logs('self')).includes('self'))
})

test('refuses connections to a service without endpoints at once', async () => {
  const text = `start=$(date +%s%N); (${ask('nobody', 80)}); echo $(( ($(date +%s%N) - start) / 1000000 ))`
  const lines = await runScript('refused', '', asBash(text))
  assert.match(lines.join('\n'), /Connection refused/)
  assert.ok(Number(lines.at(-1)) < 1_000, lines.at(-1))
})

test('sends nothing to a pod that is being deleted', async () => {
  const before = await readyAddresses()
  const { items } = await cluster.client.list<Pod>(resources.pods, {
    namespace: 'default',
    labelSelector: 'app=names',
  })
  const [victim] = items
  await cluster.client.remove(resources.pods, victim?.metadata.name ?? '', 'default')
  await until('a new pod took its place', async () => {
    const now = await readyAddresses()
    return now.length === 3 && now.some((address) => !before.includes(address))
  })
  assert.not.ok((await readyAddresses()).includes(victim?.status?.podIP ?? ''))
})

test('answers names as Kubernetes does', async () => {
  const dig = (name: string, type = 'A') =>
    `${process.execPath} -e 'const r = new (require("dns").promises.Resolver)(); r.resolve("${name}", "${type}").then((a) => console.log("${name}", JSON.stringify(a)), (e) => console.log("${name}", e.code))'`
  const names: [string, string?][] = [
    ['names.default.svc.cluster.local'],
    ['names.default.svc.cluster.local', 'AAAA'],
    ['each.default.svc.cluster.local'],
    ['_tcp._tcp.names.default.svc.cluster.local', 'SRV'],
    ['none.default.svc.cluster.local'],
    ['example.com'],
  ]
  const lines = await runScript('names', names.map(([name, type]) => dig(name, type)).join('; '))
  assert.match(lines[0] ?? '', /\["10\.96\.\d+\.\d+"\]$/)
  assert.match(lines[1] ?? '', /ENODATA$/)
  assert.is((JSON.parse(lines[2]?.split(' ')[1] ?? '[]') as string[]).length, 3)
  assert.match(lines[3] ?? '', /"port":80/)
  assert.match(lines[4] ?? '', /ENOTFOUND$/)
  assert.match(lines[5] ?? '', /ENOTFOUND$/)
})

test('reaches nothing outside of the cluster, and puts nothing on the network of the machine', async () => {
  const lines = await runScript('outside', '', asBash(`(${ask('1.1.1.1', 80)}); ip -o link | wc -l`))
  assert.match(lines.join('\n'), /unreachable/)
  assert.is(lines.at(-1), '2')
  const routes = await readFile('/proc/net/route', 'utf8')
  const own = [hexOf('10.244.0.0'), hexOf('10.96.0.0')].map((prefix) => prefix.slice(4))
  assert.not.ok(routes.split('\n').some((line) => own.includes(line.split('\t')[1]?.slice(4) ?? '')))
  const links = await readFile('/proc/net/dev', 'utf8')
  assert.not.match(links, /pod\d/)
})

/** An address as `/proc/net/route` writes it. */
function hexOf(address: string): string {
  const bytes = address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'))
  return bytes.reverse().join('').toUpperCase()
}

test.run()
