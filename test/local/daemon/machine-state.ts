import { readdirSync, readFileSync } from 'node:fs'

/** What a cluster might leave behind on the machine. */
export interface MachineState {
  links: string[]
  mounts: string[]
  routes: string[]
  namespaces: string[]
}

/**
 * Takes stock of what could come from a local cluster: other tests make links and namespaces of their own at the same
 * time. Processes are looked for by {@link processesWith}.
 */
export function machineState(): MachineState {
  const lines = (path: string) => readFileSync(path, 'utf8').trim().split('\n')
  const links = lines('/proc/net/dev').map((line) => line.trim().split(':', 1)[0] ?? '')
  const mounts = lines('/proc/self/mountinfo').map((line) => line.split(' ').slice(3, 5).join(' '))
  return {
    links: links.filter((name) => /^pod\d+$/.test(name)),
    mounts: mounts.filter((mount) => /mesh|\/run\/netns\/.*-[0-9a-f]{8}$/.test(mount)),
    // The pod network and the service network, as the kernel writes them.
    routes: lines('/proc/net/route').filter((line) => /^\S+\t....(F40A|600A)\t/.test(line)),
    namespaces: readdirOrNone('/run/netns').filter((name) => /-[0-9a-f]{8}$/.test(name)),
  }
}

function readdirOrNone(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** Command lines of processes that hold a word. */
export function processesWith(word: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        return line.includes(word) ? [`${pid} ${line}`] : []
      } catch {
        return []
      }
    })
}
