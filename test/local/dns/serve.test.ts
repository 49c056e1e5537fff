import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { decode, encode, type Packet } from 'dns-packet'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { DnsSource } from '../../../src/runtime/local/dns/records.ts'
import { answerMessage, type DnsServer, serveDns } from '../../../src/runtime/local/dns/serve.ts'
import { source } from './names.ts'

const test = suite('local/dns/serve')

function query(name: string, more: Partial<Packet> = {}): Buffer {
  return encode({ type: 'query', id: 77, flags: 256, questions: [{ type: 'A', name }], ...more })
}

function answer(message: Buffer, from: DnsSource = source, transport: 'udp' | 'tcp' = 'udp'): Packet {
  const bytes = answerMessage(from, message, transport)
  if (bytes === undefined) throw new Error('no answer')
  return decode(bytes)
}

const edns = { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] } as never

/** A service with so many endpoints that they do not fit into a datagram. */
const crowded: DnsSource = {
  ...source,
  slices: () => {
    const conditions = { ready: true, serving: true, terminating: false }
    const endpoints = Array.from({ length: 200 }, (_, index) => ({
      addresses: [`10.244.1.${index}`],
      conditions,
    }))
    const metadata = { name: 'each-0', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'each' } }
    return [{ metadata, addressType: 'IPv4', endpoints, ports: [] }]
  },
}

test('answers with the same id and question, authoritatively, for five seconds', () => {
  const packet = answer(query('web.shop.svc.cluster.local'))
  assert.is(packet.id, 77)
  assert.is(packet.questions?.[0]?.name, 'web.shop.svc.cluster.local')
  const [record] = packet.answers ?? []
  assert.is(record?.type === 'A' && record.data, '10.96.0.7')
  assert.is(record?.type === 'A' && record.ttl, 5)
  assert.ok((packet.flags ?? 0) & (1 << 10))
  assert.ok((packet.flags ?? 0) & (1 << 8))
})

test('says no with the start of authority, so that it is not kept for long', () => {
  const packet = answer(query('none.shop.svc.cluster.local'))
  assert.is((packet as { rcode?: string }).rcode, 'NXDOMAIN')
  const [authority] = packet.authorities ?? []
  assert.is(authority?.type === 'SOA' && authority.data.minimum, 1)
})

test('repeats EDNS only to those that speak it', () => {
  assert.equal(answer(query('web.shop.svc.cluster.local')).additionals, [])
  const packet = answer(query('web.shop.svc.cluster.local', { additionals: [edns] }))
  assert.is(packet.additionals?.[0]?.type, 'OPT')
})

test('tells over UDP that an answer is cut, and gives it whole over TCP', () => {
  const message = query('each.shop.svc.cluster.local')
  const cut = answerMessage(crowded, message, 'udp')
  assert.ok(cut !== undefined && cut.length <= 512)
  assert.ok((answer(message, crowded).flags ?? 0) & (1 << 9))
  const large = answerMessage(crowded, query('each.shop.svc.cluster.local', { additionals: [edns] }), 'udp')
  assert.ok(large !== undefined && large.length <= 1232)
  assert.is(answer(message, crowded, 'tcp').answers?.length, 200)
})

test('survives any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const reply = answerMessage(source, bytes, 'udp')
      return reply === undefined || reply.length >= 12
    }),
  )
})

test('serves UDP and TCP on the same port, and several questions on one connection', async () => {
  let server: DnsServer | undefined
  let port = 0
  for (let tries = 0; server === undefined && tries < 20; tries++) {
    port = 20_000 + Math.floor(Math.random() * 30_000)
    server = await serveDns(source, '127.0.0.1', port).catch(() => undefined)
  }
  const message = query('web.shop.svc.cluster.local')
  const overUdp = await new Promise<Buffer>((resolve) => {
    const socket = createSocket('udp4').on('message', (reply) => {
      socket.close()
      resolve(reply)
    })
    socket.send(message, port, '127.0.0.1')
  })
  assert.is(decode(overUdp).answers?.length, 1)
  const length = Buffer.from([message.length >> 8, message.length & 255])
  const overTcp = await new Promise<Buffer>((resolve) => {
    let received = Buffer.alloc(0)
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(Buffer.concat([length, message, length, message])),
    )
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 2 * (2 + overUdp.length)) return
      socket.destroy()
      resolve(received)
    })
  })
  assert.equal(overTcp.subarray(2, 2 + overUdp.length), overUdp)
  server?.close()
})

test.run()
