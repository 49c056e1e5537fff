import { isDeepStrictEqual } from 'node:util'
import type { Endpoint } from './endpoints.ts'

/** Endpoints by `IP:PORT`. One object stands for one content: equal endpoints are the same object where it can be. */
export type Chunk = ReadonlyMap<string, Endpoint>

/**
 * The endpoints of a Service at one moment. They come in chunks, one for each EndpointSlice, so that what did not
 * change is neither copied nor compared. Where two chunks have one address, the first counts.
 */
export interface Snapshot {
  /** Whether the Service exists. */
  exists: boolean
  chunks: readonly Chunk[]
}

export const emptySnapshot: Snapshot = { exists: false, chunks: [] }

/** What turns one snapshot into another. */
export interface Difference {
  added: Endpoint[]
  removed: Endpoint[]
}

/** The difference to the newest snapshot from whatever a subscriber was last sent. Costs as much as what changed. */
export function difference(from: Snapshot, to: Snapshot): Difference {
  const touched = new Set([...keysApart(from, to), ...keysApart(to, from)])
  const added: Endpoint[] = []
  const removed: Endpoint[] = []
  for (const key of touched) {
    const before = find(from, key)
    const after = find(to, key)
    if (after === undefined) {
      if (before !== undefined) removed.push(before)
    } else if (before !== after && !isDeepStrictEqual(before, after)) added.push(after)
  }
  return { added, removed }
}

/** The keys of the chunks that the other snapshot does not share. */
function keysApart(snapshot: Snapshot, other: Snapshot): string[] {
  const shared = new Set(other.chunks)
  return snapshot.chunks.filter((chunk) => !shared.has(chunk)).flatMap((chunk) => [...chunk.keys()])
}

function find(snapshot: Snapshot, key: string): Endpoint | undefined {
  for (const chunk of snapshot.chunks) {
    const endpoint = chunk.get(key)
    if (endpoint !== undefined) return endpoint
  }
  return undefined
}

export function isEmpty(snapshot: Snapshot): boolean {
  return snapshot.chunks.every((chunk) => chunk.size === 0)
}

/** A chunk that takes from the former one every endpoint that stayed as it was, or is the former one altogether. */
export function makeChunk(endpoints: readonly Endpoint[], former: Chunk | undefined): Chunk {
  const chunk = new Map<string, Endpoint>()
  let isFormer = former !== undefined
  for (const endpoint of endpoints) {
    const key = keyOf(endpoint)
    const before = former?.get(key)
    const isKept = before !== undefined && isDeepStrictEqual(before, endpoint)
    if (!isKept) isFormer = false
    chunk.set(key, isKept ? before : endpoint)
  }
  return former !== undefined && isFormer && former.size === chunk.size ? former : chunk
}

export function isSameSnapshot(left: Snapshot, right: Snapshot): boolean {
  return (
    left.exists === right.exists &&
    left.chunks.length === right.chunks.length &&
    left.chunks.every((chunk, place) => chunk === right.chunks[place])
  )
}

function keyOf(endpoint: Endpoint): string {
  return `${endpoint.ip}:${endpoint.port}`
}
