import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resources } from '../../../src/runtime/kube/resources.ts'
import { readImages, writeImages } from '../../../src/runtime/local/images.ts'
import type { ConfigMap, Pod, Secret, Volume } from '../../../src/runtime/local/objects.ts'
import { until } from '../../support/until.ts'
import { script, startTestCluster, staying, type TestCluster } from './test-cluster.ts'

const test = suite('local/node/volumes')
let cluster: TestCluster

test.before(async () => {
  cluster = await startTestCluster()
  await cluster.client.create<ConfigMap>(resources.configMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings', namespace: 'default' },
    data: { colour: 'red', size: 'big' },
  })
  await cluster.client.create<Secret>(resources.secrets, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'key', namespace: 'default' },
    data: { word: Buffer.from('sesame').toString('base64') },
  })
})

test.after(() => cluster.stop())

const hasEnded = (pod: Pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'

/** Runs a script in a pod to its end and answers with what it printed. */
async function output(
  name: string,
  text: string,
  more: { container?: object; pod?: object; meta?: object; volumes?: Volume[] } = {},
): Promise<string> {
  const spec = {
    restartPolicy: 'Never' as const,
    containers: [script('c', text, more.container)],
    ...(more.volumes === undefined ? {} : { volumes: more.volumes }),
    ...more.pod,
  }
  await cluster.createPod(name, spec, more.meta)
  await cluster.untilPod(name, 'has ended', hasEnded)
  return cluster.logs(name)
}

test('mounts volumes where the machine has no such folder, and leaves the machine alone', async () => {
  const mounts = ['/data', '/etc/shop/conf', '/usr/share/shop/deep/conf', '/opt/a/b', '/var/run/secrets/x']
  const text = `${mounts.map((path) => `cat ${path}/colour`).join('; echo; ')}; ls /etc/passwd /usr/bin/env`
  const printed = await output('mounts', text, {
    container: { volumeMounts: mounts.map((mountPath) => ({ name: 'v', mountPath })) },
    volumes: [{ name: 'v', configMap: { name: 'settings' } }],
  })
  assert.is(printed, `${'red\n'.repeat(5)}/etc/passwd\n/usr/bin/env\n`.replace('red\n/etc', 'red/etc'))
  const { existsSync } = await import('node:fs')
  for (const path of ['/data', '/etc/shop', '/usr/share/shop', '/opt/a'])
    assert.not.ok(existsSync(path), path)
})

test('gives a root of its own: no writing to the machine, fresh /tmp and /run, own names', async () => {
  const text = [
    'touch /usr/nothing 2>&1 | grep -c "Read-only"',
    'ls -A /tmp | wc -l',
    'touch /tmp/x /run/x && echo writable',
    'hostname; cat /etc/hostname',
    'ls /proc | grep -c "^[0-9]*$"',
    'ls /dev | tr "\\n" " "',
  ].join('; ')
  const printed = await output('root', text)
  const [readOnly, entries, writable, host, file, processes, devices] = printed.split('\n')
  assert.is(readOnly, '1')
  assert.is(entries, '0')
  assert.is(writable, 'writable')
  assert.equal([host, file], ['root', 'root'])
  assert.ok(Number(processes) < 10)
  assert.match(devices ?? '', /null .*pts .*shm .*urandom zero/)
})

test('honours read-only roots, read-only mounts, single files and sub-paths', async () => {
  const text = [
    'touch /x 2>/dev/null || echo root-closed',
    'touch /scratch/x && echo scratch-open',
    'touch /closed/x 2>/dev/null || echo closed',
    'touch /conf/x 2>/dev/null || echo conf-closed',
    'cat /one/colour',
  ].join('; ')
  const printed = await output('read-only', text, {
    container: {
      securityContext: { readOnlyRootFilesystem: true },
      volumeMounts: [
        { name: 'scratch', mountPath: '/scratch' },
        { name: 'scratch', mountPath: '/closed', readOnly: true },
        { name: 'conf', mountPath: '/conf' },
        { name: 'conf', mountPath: '/one/colour', subPath: 'colour' },
      ],
    },
    volumes: [
      { name: 'scratch', emptyDir: { medium: 'Memory' } },
      { name: 'conf', configMap: { name: 'settings' } },
    ],
  })
  assert.is(printed, 'root-closed\nscratch-open\nclosed\nconf-closed\nred')
})

test('projects secrets, fields and a token that the API server accepts', async () => {
  const text = [
    'cat /p/word; echo',
    'cat /p/labels; echo',
    'cat /p/name; echo',
    'stat -L -c %a /p/word',
    'cut -d. -f2 /p/token | base64 -d 2>/dev/null | tr "," "\\n" | grep -c shop.example',
    'curl -s --cacert /var/run/secrets/kubernetes.io/serviceaccount/ca.crt -H "Authorization: Bearer $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)" https://kubernetes.default.svc/api/v1/namespaces/default/pods -o /dev/null -w "%{http_code}\\n"',
  ].join('; ')
  const printed = await output('projected', text, {
    meta: { labels: { app: 'shop' } },
    container: { volumeMounts: [{ name: 'p', mountPath: '/p' }] },
    volumes: [
      {
        name: 'p',
        projected: {
          sources: [
            { secret: { name: 'key', items: [{ key: 'word', path: 'word', mode: 0o400 }] } },
            {
              downwardAPI: {
                items: [
                  { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
                  { path: 'name', fieldRef: { fieldPath: 'metadata.name' } },
                ],
              },
            },
            { serviceAccountToken: { path: 'token', audience: 'shop.example', expirationSeconds: 600 } },
          ],
        },
      },
    ],
  })
  // 403: the API server knows the service account, which may not list pods.
  assert.equal(printed.trim().split('\n'), ['sesame', 'app="shop"', 'projected', '400', '1', '403'])
})

test('follows a ConfigMap that changes', async () => {
  await cluster.createPod('follows', {
    containers: [
      script(
        'c',
        staying(
          'echo $(cat /conf/size); until [ "$(cat /conf/size)" = small ]; do sleep 0.05; done; echo changed',
        ),
        {
          volumeMounts: [{ name: 'v', mountPath: '/conf' }],
        },
      ),
    ],
    volumes: [{ name: 'v', configMap: { name: 'settings' } }],
  })
  await until('it has read', async () => (await cluster.logs('follows')).startsWith('big'))
  const patch = { data: { size: 'small' } }
  await cluster.client.mergePatch(resources.configMaps, 'settings', patch, { namespace: 'default' })
  await until('it has seen the change', async () => (await cluster.logs('follows')).includes('changed'))
})

test('gives variables from all their sources, expanded in order', async () => {
  const printed = await output('variables', 'echo "$1"; echo "$A|$B|$IP|$W|$CONF_colour|$LIMIT|$SET"', {
    meta: { annotations: { note: 'n' } },
    container: {
      args: ['sh', '$(B)-$$(A)-$(UNKNOWN)'],
      envFrom: [{ prefix: 'CONF_', configMapRef: { name: 'settings' } }],
      env: [
        { name: 'A', value: 'a' },
        { name: 'B', value: 'b-$(A)-$(CONF_colour)' },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'W', valueFrom: { secretKeyRef: { name: 'key', key: 'word' } } },
        { name: 'LIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
        { name: 'SET', valueFrom: { configMapKeyRef: { name: 'none', key: 'x', optional: true } } },
      ],
      resources: { limits: { memory: '64Mi' } },
    },
  })
  const [argument, variables] = printed.split('\n')
  assert.is(argument, 'b-a-red-$(A)-$(UNKNOWN)')
  assert.match(variables ?? '', /^a\|b-a-red\|10\.244\.\d+\.\d+\|sesame\|red\|64\|$/)
})

test('starts from an empty environment, and passes names that no shell could', async () => {
  const command = ['env']
  const printed = await output('empty', '', {
    container: { command, env: [{ name: 'dotted.name', value: '1' }] },
  })
  const names = printed
    .trim()
    .split('\n')
    .map((line) => line.split('=', 1)[0])
  const own = [
    'HOME',
    'HOSTNAME',
    'KUBERNETES_SERVICE_HOST',
    'KUBERNETES_SERVICE_PORT',
    'KUBERNETES_SERVICE_PORT_HTTPS',
    'PATH',
  ]
  assert.equal(names.sort(), [...own, 'dotted.name'])
})

test('runs as the user that was asked for, with the capabilities of root only for root', async () => {
  const text = 'id -u; id -g; id -G; grep -E "CapEff|CapBnd|NoNewPrivs" /proc/self/status | cut -f2'
  const plain = await output('plain-user', text, {
    pod: { securityContext: { runAsUser: 2102, runAsGroup: 2103, supplementalGroups: [5] } },
    container: { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
  })
  const none = '0000000000000000'
  assert.equal(plain.trim().split('\n'), ['2102', '2103', '2103 5', none, none, '1'])
  const root = await output('root-user', text, {
    container: { securityContext: { capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } } },
  })
  const netAdmin = '0000000000001000'
  assert.equal(root.trim().split('\n').slice(3), [netAdmin, netAdmin, '0'])
})

test('shows the program of an image that is in a closed folder, also to other users', async () => {
  const home = await mkdtemp(join(tmpdir(), 'mesh-home-'))
  try {
    await mkdir(join(home, 'work', 'bin'), { recursive: true })
    await chmod(home, 0o700)
    const program = join(home, 'work', 'bin', 'hello')
    await writeFile(program, '#!/bin/sh\necho hello from $(id -u)\n', { mode: 0o755 })
    const table = readImages(cluster.paths.images)
    writeImages(cluster.paths.images, { ...table, hello: { argv: [program] } })
    const container = { name: 'c', image: 'hello:v1', securityContext: { runAsUser: 4711 } }
    await cluster.createPod('closed', { restartPolicy: 'Never', containers: [container] })
    await cluster.untilPod('closed', 'has ended', hasEnded)
    assert.is(await cluster.logs('closed'), 'hello from 4711\n')
  } finally {
    await rm(home, { recursive: true })
  }
})

test('removes what a pod had on the machine', async () => {
  await cluster.client.remove(resources.pods, 'mounts', 'default')
  await until('its logs are gone', async () => {
    const { readdir } = await import('node:fs/promises')
    return (await readdir(cluster.paths.pods)).every((name) => !name.startsWith('default_mounts_'))
  })
})

test.run()
