import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * Two hosts in network namespaces, joined by a routed pair. The whole benchmark already runs in namespaces of its own
 * (see bin/bench), so that nothing is left behind.
 */
export const hosts = {
  client: { namespace: 'client', ip: '10.250.0.1' },
  server: { namespace: 'server', ip: '10.250.0.2' },
} as const
export type Host = keyof typeof hosts

/** A clock tick of /proc in microseconds: `getconf CLK_TCK` is 100 on every Linux that we know. */
const tickUs = 10_000

export function shell(script: string): string {
  return execFileSync('sh', ['-ec', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

export function createHosts(): void {
  shell(`
    mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/netns
    ip link set lo up
    ip netns add client; ip netns add server
    ip link add vc netns client type veth peer name vs netns server
    ip -n client addr add ${hosts.client.ip}/30 dev vc; ip -n server addr add ${hosts.server.ip}/30 dev vs
    ip -n client link set lo up; ip -n server link set lo up
    ip -n client link set vc up; ip -n server link set vs up
    ip -n client route add default via ${hosts.server.ip}; ip -n server route add default via ${hosts.client.ip}
  `)
}

export interface Started {
  name: string
  child: ChildProcess
  /** Everything it said. */
  output: () => string
}

/**
 * Starts a program on a host, pinned to a CPU. `uid` is set after the namespace is entered, so that it may be one that
 * the redirect rules exempt.
 */
export function start(
  name: string,
  host: Host,
  cpu: number,
  argv: string[],
  options: { env?: Record<string, string>; uid?: number } = {},
): Started {
  const asUser =
    options.uid === undefined
      ? []
      : ['setpriv', `--reuid=${options.uid}`, `--regid=${options.uid}`, '--clear-groups']
  const full = ['netns', 'exec', hosts[host].namespace, 'taskset', '-c', String(cpu), ...asUser, ...argv]
  const child = spawn('ip', full, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  })
  let said = ''
  const keep = (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-20_000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  return { name, child, output: () => said }
}

export async function stop(started: Started): Promise<void> {
  if (started.child.exitCode !== null || started.child.signalCode !== null) return
  const ended = new Promise((resolve) => started.child.once('exit', resolve))
  // A killed parent would leave its workers, and they the port.
  for (const pid of processTree(started.child.pid ?? 0).reverse()) process.kill(pid, 'SIGKILL')
  await ended
}

/** The process and all below it: nginx and HAProxy fork. */
function processTree(pid: number): number[] {
  const children = shell(`cat /proc/${pid}/task/*/children 2>/dev/null || true`)
    .trim()
    .split(/\s+/)
    .filter(Boolean)
    .map(Number)
  return [pid, ...children.flatMap(processTree)]
}

/** CPU time of a program so far, user and system, in microseconds. */
export function cpuUs(started: Started): number {
  return processTree(started.child.pid ?? 0).reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return sum + (Number(fields[11]) + Number(fields[12])) * tickUs
  }, 0)
}

/** Memory of a program in KiB: shared pages counted in proportion, and pages that it alone has written. */
export function memoryKib(started: Started): { pssKib: number; privateDirtyKib: number } {
  let pssKib = 0
  let privateDirtyKib = 0
  for (const pid of processTree(started.child.pid ?? 0)) {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    pssKib += Number(rollup.match(/^Pss:\s+(\d+)/m)?.[1] ?? 0)
    privateDirtyKib += Number(rollup.match(/^Private_Dirty:\s+(\d+)/m)?.[1] ?? 0)
  }
  return { pssKib, privateDirtyKib }
}

/** Runs a program on a host to its end. */
export async function run(host: Host, cpu: number, argv: string[]): Promise<string> {
  const started = start(argv[0] ?? '', host, cpu, argv)
  const code = await new Promise<number | null>((resolve) => started.child.once('close', resolve))
  if (code !== 0) throw new Error(`${argv.join(' ')} exited with ${code}: ${started.output()}`)
  return started.output()
}

/** Waits until a GET from a host answers 200. */
export async function untilServing(
  host: Host,
  url: string,
  proxies: Started[],
  deadlineMs = 20_000,
): Promise<void> {
  const endMs = Date.now() + deadlineMs
  for (;;) {
    const status = await run(host, 1, [
      'curl',
      '-s',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '--max-time',
      '2',
      url,
    ]).catch(() => '')
    if (status === '200') return
    if (Date.now() > endMs) {
      const said = proxies.map((proxy) => `--- ${proxy.name}\n${proxy.output()}`).join('\n')
      throw new Error(`${url} does not answer 200 but '${status}'\n${said}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
