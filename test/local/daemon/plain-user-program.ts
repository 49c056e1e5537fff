import { connect } from '../../../src/runtime/kube/client.ts'
import { resources } from '../../../src/runtime/kube/resources.ts'
import type { Pod } from '../../../src/runtime/local/objects.ts'
import { statePaths } from '../../../src/runtime/local/paths.ts'
import { startCluster } from '../../../src/runtime/local/start-cluster.ts'
import { stopCluster } from '../../../src/runtime/local/stop-cluster.ts'
import { MeshError } from '../../../src/runtime/shared/errors.ts'
import { until } from '../../support/until.ts'
import { script } from '../node/test-cluster.ts'

/** Run by `plain-user.test.ts` as a user without rights: what a pod printed, or why there is no cluster, as JSON. */
const [home = ''] = process.argv.slice(2)
const env = (name: string) => (name === 'MESH_HOME' ? home : name === 'PATH' ? process.env.PATH : undefined)
const paths = statePaths('test', env)
try {
  await startCluster({ name: 'test', paths, port: 0, images: {}, waitMs: 20_000, env })
  process.stdout.write(`${JSON.stringify({ output: await runPod() })}\n`)
} catch (error) {
  const { code, next } = MeshError.from(error)
  process.stdout.write(`${JSON.stringify({ code, next, message: String(error) })}\n`)
} finally {
  await stopCluster(paths)
}

/** A pod whose containers run as two users, reach each other, and a name in DNS. */
async function runPod(): Promise<string> {
  const client = connect({ kubeconfig: paths.kubeconfig }, env)
  const text =
    'id -u; touch /tmp/x && echo written; getent hosts kubernetes.default | tr -s " "; ip -br a show eth0 | tr -s " "'
  await client.create<Pod>(resources.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'plain', namespace: 'default' },
    spec: {
      restartPolicy: 'Never',
      initContainers: [script('init', 'id -u')],
      containers: [script('c', text, { securityContext: { runAsUser: 2102 } })],
    },
  })
  await until('the pod has ended', async () => {
    const pod = await client.read<Pod>(resources.pods, 'plain', 'default')
    return pod?.status?.phase === 'Succeeded'
  })
  const read = async (container: string) => {
    const path = `/api/v1/namespaces/default/pods/plain/log?container=${container}`
    return (await client.raw({ method: 'GET', path })).body
  }
  const output = (await read('init')) + (await read('c'))
  client.close()
  return output
}
