import { readdirSync, readFileSync } from 'node:fs'

/** What a cluster might leave behind on the machine. */
export interface MachineState {
  links: string[]
  mounts: string[]
  routes: string[]
  namespaces: string[]
}

/** Takes stock. Processes are looked for by {@link processesWith}, since others come and go. */
export function machineState(): MachineState {
  const lines = (path: string) => readFileSync(path, 'utf8').trim().split('\n')
  return {
    links: lines('/proc/net/dev').map((line) => line.trim().split(':', 1)[0] ?? ''),
    // The first two fields are numbers that the kernel gives out anew.
    mounts: lines('/proc/self/mountinfo').map((line) => line.split(' ').slice(2, 5).join(' ')),
    routes: lines('/proc/net/route').map((line) => line.split('\t').slice(0, 3).join(' ')),
    namespaces: readdirOrNone('/run/netns'),
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
