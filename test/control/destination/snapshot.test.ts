import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { formatIp, ipFromWire } from '../../../src/runtime/control/cluster/ip.ts'
import type { Endpoint } from '../../../src/runtime/control/destination/endpoints.ts'
import {
  type Chunk,
  difference,
  emptySnapshot,
  makeChunk,
  type Snapshot,
} from '../../../src/runtime/control/destination/snapshot.ts'
import { updates } from '../../../src/runtime/control/destination/wire.ts'

const test = suite('control/destination: snapshots')

function endpoint(octet: number, version: number): Endpoint {
  return { ip: `10.0.0.${octet}`, port: 80, labels: { version: String(version) } }
}

/** Endpoints of one slice; few addresses, so that slices share some. */
const contents = fc.uniqueArray(fc.record({ octet: fc.nat(5), version: fc.nat(2) }), {
  selector: ({ octet }) => octet,
  maxLength: 5,
})
/** A sequence of states of up to three slices. */
const histories = fc.array(fc.array(contents, { maxLength: 3 }), { maxLength: 12 })

/** What a client must hold in the end: by address, where the first slice that has it counts. */
function merged(snapshot: Snapshot): Map<string, Endpoint> {
  const entries = [...snapshot.chunks].reverse().flatMap((chunk) => [...chunk])
  return new Map(entries)
}

function sorted(endpoints: Iterable<Endpoint>): string[] {
  return [...endpoints].map((each) => `${each.ip} ${each.labels.version}`).sort()
}

test('whatever a slow subscriber misses, its differences end in the newest snapshot', () => {
  fc.assert(
    fc.property(histories, fc.array(fc.boolean()), (history, reads) => {
      const held = new Map<string, Endpoint>()
      let sent: Snapshot = emptySnapshot
      let former: (Chunk | undefined)[] = []
      let newest: Snapshot = emptySnapshot
      const receive = () => {
        const { added, removed } = difference(sent, newest)
        for (const each of added) held.set(each.ip, each)
        for (const each of removed) assert.ok(held.delete(each.ip), 'only what is there is removed')
        sent = newest
      }
      history.forEach((slices, moment) => {
        const chunks = slices.map((slice, place) =>
          makeChunk(
            slice.map(({ octet, version }) => endpoint(octet, version)),
            former[place],
          ),
        )
        former = chunks
        newest = { exists: true, chunks }
        if (reads[moment] === true) receive()
      })
      receive()
      assert.equal(sorted(held.values()), sorted(merged(newest).values()))
      assert.equal(difference(sent, newest), { added: [], removed: [] })
    }),
    { numRuns: 500 },
  )
})

test('an endpoint that stays as it was stays the same object, and a chunk without change the same chunk', () => {
  const first = makeChunk([endpoint(1, 1), endpoint(2, 1)], undefined)
  assert.is(makeChunk([endpoint(1, 1), endpoint(2, 1)], first), first)
  const second = makeChunk([endpoint(1, 1), endpoint(2, 2)], first)
  assert.is.not(second, first)
  assert.is(second.get('10.0.0.1:80'), first.get('10.0.0.1:80'))
  assert.is.not(makeChunk([endpoint(1, 1)], first), first)
})

test('a difference costs nothing for chunks that are shared', () => {
  const large = makeChunk(
    Array.from({ length: 50_000 }, (_, place) => ({
      ip: `11.${place >> 16}.${(place >> 8) & 255}.${place & 255}`,
      port: 80,
      labels: {},
    })),
    undefined,
  )
  let looks = 0
  const counted = new Proxy(large, {
    get: (target, property) => {
      looks += 1
      const value: unknown = Reflect.get(target, property)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const before: Snapshot = { exists: true, chunks: [counted, makeChunk([endpoint(1, 1)], undefined)] }
  const after: Snapshot = { exists: true, chunks: [counted, makeChunk([endpoint(1, 2)], undefined)] }
  const { added, removed } = difference(before, after)
  assert.is(added.length, 1)
  assert.is(removed.length, 0)
  assert.ok(looks < 10, `the shared chunk was looked at ${looks} times`)
})

test('additions come before removals, in messages that stay small', () => {
  const many = Array.from({ length: 2_500 }, (_, place) => ({
    ip: `10.1.${place >> 8}.${place & 255}`,
    port: 80,
    labels: {},
  }))
  const messages = [
    ...updates({ added: many, removed: [endpoint(1, 1)] }, { namespace: 'shop', name: 'web' }),
  ]
  assert.equal(
    messages.map(({ update }) => update.case),
    ['add', 'add', 'add', 'remove'],
  )
  const addresses = messages.flatMap(({ update }) =>
    update.case === 'add' ? update.value.addrs.map(({ addr }) => ipFromWire(addr?.ip)) : [],
  )
  assert.equal(
    addresses.map((ip) => (ip === undefined ? '' : formatIp(ip))),
    many.map(({ ip }) => ip),
  )
})

test.run()
