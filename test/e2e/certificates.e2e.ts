import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Cluster, deployPeer, execute, installMesh, podsOf, shown, startCluster } from './cluster.ts'

const test = suite('certificates')

let cluster: Cluster
let podIp = ''

test.before(
  shown(async () => {
    cluster = await startCluster('certs')
    await installMesh(cluster)
    await deployPeer(cluster, { namespace: 'app', name: 'server', meshed: true })
    // The prober runs openssl inside the cluster's network, from a pod that is not meshed.
    await deployPeer(cluster, { namespace: 'prober', name: 'prober', meshed: false })
    const pods = JSON.parse(await cluster.mustKubectl(['get', 'pods', '-n', 'app', '-o', 'json'])) as {
      items: { status: { podIP: string } }[]
    }
    podIp = pods.items[0]?.status.podIP ?? ''
  }),
)

test.after(
  shown(async () => {
    await cluster?.stop()
  }),
)

async function openssl(args: string[], stdin = ''): Promise<string> {
  const finished = await execute('openssl', args, { stdin })
  if (finished.code !== 0) throw new Error(`openssl ${args.join(' ')}: ${finished.stderr}${finished.stdout}`)
  return finished.stdout + finished.stderr
}

/** What openssl learns in a handshake with the proxy of the server's pod. */
async function handshake(serverName: string): Promise<string> {
  const [prober] = await podsOf(cluster, 'prober', 'prober')
  const command = `openssl s_client -connect ${podIp}:4143 -servername ${serverName} -showcerts </dev/null 2>&1; true`
  return cluster.mustKubectl(['exec', '-n', 'prober', prober ?? '', '--', 'sh', '-c', command])
}

const identity = 'server.app.serviceaccount.identity.linkerd.cluster.local'

test('the workload certificate is what openssl expects of one', async () => {
  const bundle = await cluster.mustKubectl([
    ...['get', 'configmap', '-n', 'linkerd', 'linkerd-identity-trust-roots'],
    ...['-o', 'jsonpath={.data.ca-bundle\\.crt}'],
  ])
  const said = await handshake(identity)
  const certificates = said.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  assert.ok(certificates.length >= 2, `the leaf and its issuer: ${said}`)
  assert.match(said, /TLSv1\.3/)

  const files = {
    anchors: path.join(cluster.home, 'anchors.pem'),
    leaf: path.join(cluster.home, 'leaf.pem'),
    chain: path.join(cluster.home, 'chain.pem'),
  }
  await writeFile(files.anchors, bundle)
  await writeFile(files.leaf, certificates[0] ?? '')
  await writeFile(files.chain, certificates.slice(1).join('\n'))
  const verified = await openssl([
    ...['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', identity],
    ...['-CAfile', files.anchors, '-untrusted', files.chain, files.leaf],
  ])
  assert.match(verified, /: OK/)
  const text = await openssl(['x509', '-in', files.leaf, '-noout', '-text'])
  assert.match(text, /prime256v1/)
  assert.match(text, `DNS:${identity}`)
  assert.match(text, /TLS Web Server Authentication, TLS Web Client Authentication/)
})

test('the trust anchor and the issuer are two certificates, and the keys are nowhere in a manifest', async () => {
  const secret = await cluster.mustKubectl([
    'get',
    'secret',
    '-n',
    'linkerd',
    'linkerd-identity-issuer',
    '-o',
    'json',
  ])
  const data = (JSON.parse(secret) as { data: Record<string, string> }).data
  const pem = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString('utf8')
  const issuer = await openssl(
    ['x509', '-noout', '-subject', '-issuer', '-ext', 'basicConstraints'],
    pem('tls.crt'),
  )
  const [subject, issuedBy] = issuer.split('\n')
  assert.not.equal(subject?.replace('subject', ''), issuedBy?.replace('issuer', ''))
  assert.match(issuer, /CA:TRUE/)
  const rendered = await cluster.mesh(['install', '--ignore-cluster'])
  assert.is(rendered.code, 0)
  assert.not.match(rendered.stdout, /PRIVATE KEY|BEGIN CERTIFICATE/)
})

test('nobody is let in as somebody else', async () => {
  const said = await handshake('other.app.serviceaccount.identity.linkerd.cluster.local')
  // Another name is not terminated by the proxy: it is passed on to the application, which speaks no TLS.
  assert.not.match(said, /BEGIN CERTIFICATE/)
})

test.run()
