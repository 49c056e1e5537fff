import { spawn } from 'node:child_process'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { until } from '../../support/until.ts'
import { startTestCluster, staying, type TestCluster } from './test-cluster.ts'

const test = suite('local/node/streams')
let cluster: TestCluster

/** Listens on the loopback interface only, and answers with what it got, backwards. */
const server = `require("net").createServer({ allowHalfOpen: true }, (s) => {
  let text = ""
  s.on("data", (d) => { text += d }).on("end", () => s.end([...text].reverse().join(""))).on("error", () => 0)
}).listen(8080, "127.0.0.1")`

test.before(async () => {
  cluster = await startTestCluster()
  await cluster.createPod('streams', {
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'c',
        image: 'localhost/host',
        command: ['sh', '-c', staying('echo up')],
        env: [{ name: 'A', value: 'b' }],
      },
      { name: 'server', image: 'localhost/host', command: [process.execPath, '-e', server] },
    ],
  })
  await until('it is up', async () => (await cluster.logs('streams', 'container=c')) === 'up\n')
})

test.after(() => cluster.stop())

interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

function kubectl(args: string[], stdin = ''): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn('kubectl', ['--kubeconfig', cluster.paths.kubeconfig, ...args])
    const finished: Finished = { code: null, stdout: '', stderr: '' }
    child.stdout.on('data', (chunk: Buffer) => {
      finished.stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      finished.stderr += chunk.toString()
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ ...finished, code }))
    child.stdin.end(stdin)
  })
}

const exec = (command: string[], flags: string[] = [], stdin = '') =>
  kubectl(['exec', ...flags, 'streams', '-c', 'c', '--', ...command], stdin)

test('runs a command in a container, with its environment and its processes', async () => {
  const { code, stdout, stderr } = await exec([
    'sh',
    '-c',
    'echo $A; hostname; echo oops >&2; ps -e | wc -l; exit 5',
  ])
  const [variable, host, count] = stdout.split('\n')
  assert.equal([code, variable, host], [5, 'b', 'streams'])
  assert.ok(Number(count) < 8)
  assert.match(stderr, /^oops/)
})

test('passes input to the command', async () => {
  const { stdout } = await exec(['tr', 'a-z', 'A-Z'], ['-i'], 'hello\n')
  assert.is(stdout, 'HELLO\n')
})

test('tells when the command does not exist', async () => {
  const { code, stderr } = await exec(['no-such-command'])
  assert.is(code, 127)
  assert.match(stderr, /no-such-command/)
})

test('forwards a port to the loopback interface of the pod', async () => {
  const forward = spawn('kubectl', [
    '--kubeconfig',
    cluster.paths.kubeconfig,
    'port-forward',
    'pod/streams',
    ':8080',
  ])
  try {
    let printed = ''
    forward.stdout.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
    })
    await until('kubectl listens', () => /127\.0\.0\.1:\d+/.test(printed))
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(printed)?.[1])
    const text = 'x'.repeat(100_000)
    const answers = await Promise.all([`${text}1`, '2', 'abc'].map((words) => converse(port, words)))
    assert.equal(answers, [`1${text}`, '2', 'cba'])
  } finally {
    forward.kill()
  }
})

/** Sends a text, ends, and answers with what came back. */
async function converse(port: number, words: string): Promise<string> {
  const { connect } = await import('node:net')
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(words))
    socket.on('data', (chunk) => {
      received += chunk.toString()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(received))
  })
}

test.run()
