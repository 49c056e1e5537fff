/** Ports as an annotation gives them: numbers, ranges and names. */
export interface PortSet {
  ranges: readonly (readonly [first: number, last: number])[]
  names: readonly string[]
}

export const noPorts: PortSet = { ranges: [], names: [] }

const portNumber = /^\d{1,5}$/

/**
 * Reads `25,587,3000-3010,mysql`. A part that is neither a port, a range nor a port name is left out, so that one
 * slip of the pen does not lose the rest.
 */
export function parsePortSet(text: string): PortSet {
  const ranges: (readonly [number, number])[] = []
  const names: string[] = []
  for (const part of text.split(',').map((piece) => piece.trim())) {
    if (part === '') continue
    const range = parseRange(part)
    if (range !== undefined) ranges.push(range)
    else if (/^[a-z0-9-]{1,15}$/.test(part) && /[a-z]/.test(part)) names.push(part)
  }
  return { ranges, names }
}

function parseRange(part: string): readonly [number, number] | undefined {
  const [first = '', last = first, ...rest] = part.split('-')
  if (rest.length > 0 || !portNumber.test(first) || !portNumber.test(last)) return undefined
  const range = [Number(first), Number(last)] as const
  return range[0] >= 1 && range[1] <= 65535 && range[0] <= range[1] ? range : undefined
}

/** @param name the port's name where it is declared, if it has one */
export function portSetHas(ports: PortSet, port: number, name?: string): boolean {
  if (ports.ranges.some(([first, last]) => first <= port && port <= last)) return true
  return name !== undefined && ports.names.includes(name)
}
