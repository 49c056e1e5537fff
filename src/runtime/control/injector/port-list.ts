/** Ports from the first to the last, both included. */
export interface PortRange {
  first: number
  last: number
}

/** A list of ports, or what is wrong with it. */
export type ParsedPorts = { kind: 'ports'; ranges: PortRange[] } | { kind: 'problem'; problem: string }

/**
 * Reads `25,3306,8000-8010`. Blanks and empty items are passed over.
 * @param named ports by name, where names may be given
 */
export function parsePortList(text: string, named: ReadonlyMap<string, number> = new Map()): ParsedPorts {
  const ranges: PortRange[] = []
  for (const item of text.split(',').map((part) => part.trim())) {
    if (item === '') continue
    const range = rangeOf(item, named)
    if (typeof range === 'string') return { kind: 'problem', problem: range }
    ranges.push(range)
  }
  return { kind: 'ports', ranges }
}

function rangeOf(item: string, named: ReadonlyMap<string, number>): PortRange | string {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(item)
  if (match === null) {
    const port = named.get(item)
    if (port !== undefined) return { first: port, last: port }
    return named.size === 0
      ? `"${item}" is no port and no range of ports`
      : `"${item}" is no port, no range and no name of a port`
  }
  const first = Number(match[1])
  const last = Number(match[2] ?? match[1])
  if (first < 1 || last > 65_535) return `"${item}" is not between 1 and 65535`
  if (last < first) return `the range "${item}" ends before it starts`
  return { first, last }
}

/** Ports of no list are none. */
export function containsPort(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some(({ first, last }) => first <= port && port <= last)
}

export function formatPorts(ranges: readonly PortRange[]): string {
  return ranges.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`)).join(',')
}
