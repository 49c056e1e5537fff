import { readFileSync } from 'node:fs'

/** A process that cannot be mistaken for another one which got its number later. */
export interface ProcessRecord {
  pid: number
  /** Ticks between the start of the machine and that of the process. */
  startTicks: string
}

/**
 * Reads what the cluster's outermost process wrote about itself: its line of `/proc/PID/stat`, proc_pid_stat(5).
 * Undefined when there is no such file, or nothing in it.
 */
export function readProcessRecord(path: string): ProcessRecord | undefined {
  try {
    return parseStat(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

/** Whether the process still runs. */
export function isAlive({ pid, startTicks }: ProcessRecord): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return parseStat(stat)?.startTicks === startTicks && stateOf(stat) !== 'Z'
  } catch {
    return false
  }
}

/** The child of a process that has only one; undefined when it has none. */
export function childOf(pid: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    return children === '' ? undefined : Number.parseInt(children, 10)
  } catch {
    return undefined
  }
}

/** Fields after the name, which may hold blanks and parentheses. */
function fieldsAfterName(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function stateOf(stat: string): string | undefined {
  return fieldsAfterName(stat)[0]
}

function parseStat(stat: string): ProcessRecord | undefined {
  const pid = Number.parseInt(stat, 10)
  const startTicks = fieldsAfterName(stat)[19]
  return Number.isNaN(pid) || startTicks === undefined ? undefined : { pid, startTicks }
}
