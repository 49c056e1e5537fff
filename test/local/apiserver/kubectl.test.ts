import { spawn, spawnSync } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { NodeHooks, PodExecOptions } from '../../../src/runtime/local/apiserver/types.ts'
import { inheritedEnv } from '../../../src/runtime/shared/env.ts'
import { until } from '../../support/until.ts'
import { type CommandResult, startTestCluster, type TestCluster } from './support.ts'

// The real kubectl, where there is one: http.test.ts asks for the same things without it. On machines with several,
// a dispatcher takes the one that fits the version that the server tells.
const hasKubectl = spawnSync('kubectl', ['version', '--client'], { stdio: 'ignore' }).status === 0
const minorVersions = hasKubectl ? [27, 28, 29, 30, 31, 32, 33] : []
/** The versions that run every test; the others run those whose protocols differ between versions. */
const thoroughVersions = [27, 30, 33]

interface Context {
  cluster: TestCluster
  web: Server
  /** Runs kubectl and expects success. */
  run(...args: string[]): Promise<string>
}

const manifest = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "nginx:1", ports: [{containerPort: 80, name: http}], env: [{name: A, value: "1"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
`

function execute(options: PodExecOptions): Promise<number> {
  return new Promise((resolve) => {
    const [program = '', ...args] = options.command
    const child = spawn(program, args)
    if (options.stdin) options.stdin.pipe(child.stdin)
    else child.stdin.end()
    if (options.stdout) child.stdout.pipe(options.stdout, { end: false })
    if (options.stderr) child.stderr.pipe(options.stderr, { end: false })
    child.on('close', (code) => resolve(code ?? 1))
  })
}

/** Stands in for the node agent: commands run here, and every port of every pod is one web server. */
function hooksFor(web: Server): NodeHooks {
  const dial = () =>
    new Promise<Duplex>((resolve, reject) => {
      const socket = connect((web.address() as AddressInfo).port, '127.0.0.1', () => resolve(socket))
      socket.on('error', reject)
    })
  return {
    async *podLogs(_namespace, pod, container, { tailLines }) {
      yield Buffer.from(`${pod} ${container} ${tailLines ?? 'all'}\n`)
    },
    podExec: (_namespace, _pod, _container, options) => execute(options),
    podPortForward: (_namespace, _pod, port) => (port === 81 ? Promise.reject(new Error('refused')) : dial()),
    dialPod: dial,
  }
}

async function start(context: Context, minorVersion: number): Promise<void> {
  context.web = createServer((request, response) => {
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
    })
    request.on('end', () =>
      response.end(request.url === '/big' ? 'x'.repeat(3_000_000) : `${request.url} ${size}`),
    )
  })
  await new Promise<void>((resolve) => context.web.listen(0, '127.0.0.1', resolve))
  context.cluster = await startTestCluster({ minorVersion })
  context.cluster.server.setNodeHooks(hooksFor(context.web))
  context.run = async (...args) => {
    const { code, stdout, stderr } = await context.cluster.kubectl(args)
    assert.is(code, 0, `kubectl ${args.join(' ')}: ${stderr}`)
    return stdout
  }
}

async function stop({ cluster, web }: Context): Promise<void> {
  web.closeAllConnections()
  web.close()
  await cluster.close()
}

async function runningPod({ cluster, run }: Context): Promise<void> {
  await run('run', 'x', '--image=nginx:1')
  const status = { phase: 'Running', podIP: '10.244.0.5', containerStatuses: [] }
  await cluster.server.client.mergePatch(
    resources.pods,
    'x',
    { status },
    { namespace: 'default', subresource: 'status' },
  )
}

for (const minorVersion of minorVersions) {
  const test = suite<Context>(`local/apiserver/kubectl 1.${minorVersion}`)
  const thorough: typeof test = thoroughVersions.includes(minorVersion)
    ? test
    : Object.assign(() => undefined, test)
  const apply = ({ cluster }: Context, args: string[] = [], text = manifest): Promise<CommandResult> =>
    cluster.kubectl(['apply', ...args, '-f', '-'], { stdin: text })

  test.before((context) => start(context, minorVersion))
  test.after(stop)

  test('applies, again, and on the server', async (context) => {
    const lines = async (args: string[] = []) => (await apply(context, args)).stdout.trim().split('\n')
    const objects = ['namespace/shop', 'deployment.apps/web', 'service/web']
    assert.equal(
      await lines(),
      objects.map((object) => `${object} created`),
    )
    assert.equal(
      await lines(),
      objects.map((object) => `${object} unchanged`),
    )
    assert.equal(
      await lines(['--server-side']),
      objects.map((object) => `${object} serverside-applied`),
    )
    const changed = await apply(context, [], manifest.replace('nginx:1', 'nginx:2'))
    assert.match(changed.stdout, 'deployment.apps/web configured')
    const image = await context.run('get', '-n', 'shop', 'deploy', 'web', '-o', 'jsonpath={..image}')
    assert.is(image, 'nginx:2')
  })

  test('shows tables', async ({ run }) => {
    const header = (text: string) =>
      text
        .split('\n')[0]
        ?.trim()
        .split(/\s{2,}/)
    assert.equal(header(await run('get', '-n', 'shop', 'deploy')), [
      'NAME',
      'READY',
      'UP-TO-DATE',
      'AVAILABLE',
      'AGE',
    ])
    assert.equal(header(await run('get', '-n', 'shop', 'svc')), [
      'NAME',
      'TYPE',
      'CLUSTER-IP',
      'EXTERNAL-IP',
      'PORT(S)',
      'AGE',
    ])
    assert.match(await run('get', 'all', '-n', 'shop'), /deployment.apps\/web +0\/2/)
    assert.match(await run('get', 'ns'), /shop +Active/)
  })

  thorough('changes objects in every way', async ({ run }) => {
    await run('label', '-n', 'shop', 'svc', 'web', 'a=b')
    await run('annotate', '-n', 'shop', 'svc', 'web', 'c=d')
    await run('scale', '-n', 'shop', 'deploy', 'web', '--replicas=4')
    await run('set', 'image', '-n', 'shop', 'deploy/web', 'web=nginx:3')
    await run('set', 'env', '-n', 'shop', 'deploy/web', 'B=2')
    await run('rollout', 'restart', '-n', 'shop', 'deploy/web')
    await run(
      'patch',
      '-n',
      'shop',
      'deploy',
      'web',
      '--type=json',
      '-p',
      '[{"op":"add","path":"/spec/paused","value":true}]',
    )
    const found = JSON.parse(await run('get', '-n', 'shop', 'deploy', 'web', '-o', 'json')).spec
    assert.equal([found.replicas, found.paused], [4, true])
    const [container] = found.template.spec.containers
    assert.equal(
      container.env.map(({ name }: { name: string }) => name),
      ['A', 'B'],
    )
    assert.is(container.image, 'nginx:3')
    assert.match(await run('get', '-n', 'shop', 'svc', '-l', 'a=b', '-o', 'name'), 'service/web')
  })

  thorough('shows differences and changes nothing', async ({ cluster, run }) => {
    const version = await run(
      'get',
      '-n',
      'shop',
      'deploy',
      'web',
      '-o',
      'jsonpath={.metadata.resourceVersion}',
    )
    const { code, stdout } = await cluster.kubectl(['diff', '-f', '-'], { stdin: manifest })
    assert.is(code, 1)
    assert.match(stdout, /^-\s+image: nginx:3$/m)
    assert.is(
      await run('get', '-n', 'shop', 'deploy', 'web', '-o', 'jsonpath={.metadata.resourceVersion}'),
      version,
    )
  })

  thorough('describes and explains', async ({ run }) => {
    assert.match(await run('describe', '-n', 'shop', 'deploy', 'web'), /Replicas: +4 desired/)
    assert.match(await run('describe', '-n', 'shop', 'svc', 'web'), /TargetPort: +http\/TCP/)
    assert.match(await run('explain', 'deployment.spec.template.spec.containers'), 'imagePullPolicy')
    assert.match(await run('api-resources'), /deployments +deploy +apps\/v1/)
  })

  test('creates without a file, by protobuf', async ({ run }) => {
    await run('create', 'ns', 'made')
    await run('create', '-n', 'made', 'cm', 'c', '--from-literal=a=b')
    await run('create', '-n', 'made', 'secret', 'generic', 's', '--from-literal=a=b')
    await run('create', '-n', 'made', 'deployment', 'd', '--image=nginx:1', '--port=80', '--replicas=0')
    await run('create', '-n', 'made', 'job', 'j', '--image=i:1')
    await run('create', '-n', 'made', 'sa', 'a')
    await run('create', '-n', 'made', 'role', 'r', '--verb=get', '--resource=pods')
    await run('create', '-n', 'made', 'rolebinding', 'r', '--role=r', '--serviceaccount=made:a')
    assert.match(await run('create', '-n', 'made', 'token', 'a'), /^[\w-]+\.[\w-]+\.[\w-]+\n?$/)
    assert.is(await run('get', '-n', 'made', 'cm', 'c', '-o', 'jsonpath={.data.a}'), 'b')
    assert.is(await run('get', '-n', 'made', 'secret', 's', '-o', 'jsonpath={.data.a}'), 'Yg==')
    const deployment = JSON.parse(await run('get', '-n', 'made', 'deploy', 'd', '-o', 'json'))
    assert.equal(
      [deployment.spec.replicas, deployment.spec.template.spec.containers[0].ports[0].containerPort],
      [0, 80],
    )
    const as = 'system:serviceaccount:made:a'
    assert.match(await run('auth', 'can-i', 'get', 'pods', '-n', 'made', '--as', as), 'yes')
    assert.match(await run('auth', 'can-i', '--list'), '*.*')
  })

  thorough('refuses what is wrong, with the field', async (context) => {
    const typo = await apply(context, [], manifest.replace('replicas:', 'replica:'))
    assert.match(typo.stderr, 'unknown field "spec.replica"')
    const wrong = await apply(context, [], manifest.replace('port: 80, target', 'port: 99999, target'))
    assert.match(wrong.stderr, 'spec.ports[0].port: Invalid value')
  })

  thorough('waits and watches', async ({ cluster, run }) => {
    const waiting = run(
      'wait',
      '-n',
      'shop',
      'deploy/web',
      '--for=jsonpath={.spec.replicas}=1',
      '--timeout=20s',
    )
    await following(cluster, ['get', '-n', 'shop', 'deploy', 'web', '-w'], async (seen) => {
      await run('scale', '-n', 'shop', 'deploy', 'web', '--replicas=1')
      await until('kubectl shows the change', () => /web +0\/1/.test(seen()), 30_000)
    })
    assert.match(await waiting, 'condition met')
  })

  thorough('follows a rollout', async ({ cluster, run }) => {
    await run('rollout', 'resume', '-n', 'shop', 'deploy/web')
    const following = run('rollout', 'status', '-n', 'shop', 'deploy/web', '--timeout=20s')
    const { metadata } = JSON.parse(await run('get', '-n', 'shop', 'deploy', 'web', '-o', 'json'))
    const counts = { replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 }
    const status = { observedGeneration: metadata.generation, ...counts }
    await cluster.server.client.mergePatch(
      resources.deployments,
      'web',
      { status },
      { namespace: 'shop', subresource: 'status' },
    )
    assert.match(await following, 'successfully rolled out')
  })

  test('takes custom resources', async (context) => {
    const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: things, kind: Thing}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
`
    await apply(context, [], definition)
    await context.run('wait', '--for=condition=established', 'crd/things.example.com', '--timeout=10s')
    const thing = 'apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\nspec: {size: 3}\n'
    assert.match((await apply(context, [], thing)).stdout, 'thing.example.com/a created')
    assert.match((await apply(context, [], thing.replace('3', '4'))).stdout, 'configured')
    assert.match(await context.run('get', 'things'), /SIZE\s+a +4/)
    assert.match(await context.run('explain', 'things.spec'), 'size')
    assert.match(
      (await apply(context, [], thing.replace('size', 'siez'))).stderr,
      'unknown field "spec.siez"',
    )
  })

  test('reads logs, runs commands, forwards ports', async (context) => {
    await runningPod(context)
    assert.is(await context.run('logs', 'x', '--tail=3'), 'x x 3\n')
    const failed = await context.cluster.kubectl([
      'exec',
      'x',
      '--',
      'sh',
      '-c',
      'echo out; echo err >&2; exit 3',
    ])
    assert.equal([failed.code, failed.stdout], [3, 'out\n'])
    assert.match(failed.stderr, 'err\n')
    const echoed = await context.cluster.kubectl(['exec', '-i', 'x', '--', 'cat'], {
      stdin: 'y'.repeat(500_000),
    })
    assert.is(echoed.stdout.length, 500_000)
    await forwardPorts(context)
  })

  test('deletes, and waits until all is gone', async (context) => {
    const { run, cluster } = context
    assert.match(await run('delete', 'pod', 'x'), 'deleted')
    assert.match(await run('delete', '-n', 'made', 'deploy', 'd', '--cascade=foreground'), 'deleted')
    const gone = await cluster.kubectl(['get', 'pod', 'x'])
    assert.equal([gone.code, gone.stderr], [1, 'Error from server (NotFound): pods "x" not found\n'])
  })

  test.run()
}

/** Runs a kubectl that does not end by itself for as long as the action takes. */
async function following(
  cluster: TestCluster,
  args: string[],
  action: (seen: () => string) => Promise<void>,
): Promise<void> {
  const config = cluster.kubeconfigFor('follower', ['system:masters'])
  const child = spawn('kubectl', args, {
    env: { ...inheritedEnv(), HOME: cluster.folder, KUBECONFIG: config },
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const exited = new Promise((resolve) => child.on('exit', resolve))
  try {
    await action(() => output)
  } finally {
    child.kill()
    await exited
  }
}

function forwardPorts({ cluster }: Context): Promise<void> {
  return following(cluster, ['port-forward', 'pod/x', ':80'], async (seen) => {
    await until('kubectl forwards', () => /127.0.0.1:\d+ -> 80/.test(seen()), 30_000)
    const port = /127.0.0.1:(\d+) -> 80/.exec(seen())?.[1]
    const get = async (path: string, body?: string) => {
      const init = body === undefined ? {} : { method: 'POST', body }
      return (await fetch(`http://127.0.0.1:${port}${path}`, init)).text()
    }
    assert.is(await get('/a'), '/a 0')
    assert.is((await get('/big')).length, 3_000_000)
    assert.is(await get('/up', 'z'.repeat(2_000_000)), '/up 2000000')
  })
}

if (!hasKubectl) {
  const test = suite('local/apiserver/kubectl')
  test('is not on this machine: http.test.ts asks the same without it', () => {
    assert.not(hasKubectl)
  })
  test.run()
}
