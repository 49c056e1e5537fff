import { once } from 'node:events'
import { Duplex, PassThrough } from 'node:stream'
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeProtobufObject } from '../../../src/runtime/local/apiserver/protobuf/decode.ts'
import { writeMessage } from '../../../src/runtime/local/apiserver/protobuf/writer.ts'
import {
  SpdyConnection,
  type SpdyStream,
} from '../../../src/runtime/local/apiserver/streaming/spdy-connection.ts'
import {
  controlFrame,
  dataFrame,
  type Frame,
  FrameReader,
  frameTypes,
  words,
} from '../../../src/runtime/local/apiserver/streaming/spdy-frames.ts'
import { spdyDictionary } from '../../../src/runtime/local/apiserver/streaming/spdy-headers.ts'
import { until } from '../../support/until.ts'

const test = suite('local/apiserver/streaming')

function adler32(bytes: Uint8Array): number {
  let low = 1
  let high = 0
  for (const byte of bytes) {
    low = (low + byte) % 65521
    high = (high + low) % 65521
  }
  return high * 65536 + low
}

test('has the dictionary of the specification', () => {
  // The identifier that zlib streams of SPDY/3 carry.
  assert.is(adler32(spdyDictionary), 0xe3c6a7c2)
})

test('reads frames from pieces of any size', () => {
  const bytes = Buffer.concat([
    dataFrame(1, Buffer.from('hello')),
    controlFrame(6, words(7)),
    dataFrame(3, Buffer.alloc(0), 1),
  ])
  for (const size of [1, 3, bytes.length]) {
    const reader = new FrameReader()
    const frames: Frame[] = []
    for (let start = 0; start < bytes.length; start += size)
      frames.push(...reader.push(bytes.subarray(start, start + size)))
    assert.equal(
      frames.map((frame) => [frame.kind, frame.flags, frame.payload.toString('hex')]),
      [
        ['data', 0, Buffer.from('hello').toString('hex')],
        ['control', 0, '00000007'],
        ['data', 1, ''],
      ],
    )
  }
})

/** The client's side of a connection. */
class Client {
  readonly frames: Frame[] = []
  readonly opened: SpdyStream[] = []
  readonly #toServer = new PassThrough()
  readonly #deflate = createDeflate({ dictionary: spdyDictionary })
  readonly inflate = createInflate({ dictionary: spdyDictionary })

  constructor() {
    const fromServer = new PassThrough()
    const transport = Duplex.from({ readable: this.#toServer, writable: fromServer })
    const reader = new FrameReader()
    fromServer.on('data', (chunk: Buffer) => this.frames.push(...reader.push(chunk)))
    void new SpdyConnection(transport, (stream) => this.opened.push(stream)).run()
  }

  send(bytes: Buffer): void {
    this.#toServer.write(bytes)
  }

  async open(id: number, headers: Record<string, string>): Promise<void> {
    const text = (value: string) => Buffer.concat([words(Buffer.byteLength(value)), Buffer.from(value)])
    const entries = Object.entries(headers)
    const block = Buffer.concat([
      words(entries.length),
      ...entries.flatMap(([name, value]) => [text(name), text(value)]),
    ])
    const packed = await through(this.#deflate, block)
    this.send(controlFrame(frameTypes.synStream, Buffer.concat([words(id, 0), Buffer.alloc(2), packed])))
    await until('the server opens the stream', () => this.opened.some((stream) => stream.id === id))
  }

  end(): void {
    this.#toServer.end()
  }
}

async function through(codec: Deflate | Inflate, block: Buffer): Promise<Buffer> {
  const chunks: Buffer[] = []
  const onData = (chunk: Buffer) => chunks.push(chunk)
  codec.on('data', onData)
  codec.write(block)
  await new Promise<void>((resolve) => codec.flush(constants.Z_SYNC_FLUSH, () => resolve()))
  codec.off('data', onData)
  return Buffer.concat(chunks)
}

test('opens streams with their headers, one compression for all', async () => {
  const client = new Client()
  await client.open(1, { streamtype: 'error', port: '80', requestid: '0' })
  await client.open(3, { streamtype: 'data', port: '80', requestid: '0' })
  assert.equal(
    client.opened.map((stream) => stream.headers.streamtype),
    ['error', 'data'],
  )
  const replies = client.frames.filter(
    (frame) => frame.kind === 'control' && frame.type === frameTypes.synReply,
  )
  assert.is(replies.length, 2)
  for (const reply of replies)
    assert.equal(await through(client.inflate, reply.payload.subarray(4)), words(0))
  client.end()
})

test('carries data both ways, with half-closes', async () => {
  const client = new Client()
  await client.open(1, { streamtype: 'data' })
  const [stream] = client.opened
  if (!stream) throw new Error('no stream')
  client.send(dataFrame(1, Buffer.from('question'), 1))
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(stream, 'end')
  assert.is(Buffer.concat(chunks).toString(), 'question')
  stream.end(Buffer.alloc(100_000, 'a'))
  await until('the answer is there', () =>
    client.frames.some((frame) => frame.kind === 'data' && frame.flags === 1),
  )
  const answer = client.frames.filter((frame) => frame.kind === 'data').map((frame) => frame.payload)
  assert.is(Buffer.concat(answer).length, 100_000)
  client.end()
})

test('answers pings, and ends streams that are reset or whose connection ends', async () => {
  const client = new Client()
  client.send(controlFrame(frameTypes.ping, words(42)))
  await until('a ping comes back', () =>
    client.frames.some(
      (frame) =>
        frame.kind === 'control' && frame.type === frameTypes.ping && frame.payload.readUInt32BE(0) === 42,
    ),
  )
  await client.open(1, {})
  await client.open(3, {})
  client.send(controlFrame(frameTypes.rstStream, words(1, 5)))
  await until('the stream is gone', () => client.opened[0]?.destroyed === true)
  assert.not(client.opened[1]?.destroyed)
  client.end()
  await until('all streams are gone', () => client.opened[1]?.destroyed === true)
})

function envelope(apiVersion: string, kind: string, message: Buffer): Buffer {
  const typeMeta = writeMessage([1, apiVersion], [2, kind])
  return Buffer.concat([Buffer.from('k8s\0'), writeMessage([1, typeMeta], [2, message])])
}

test('decodes protobuf bodies: maps, lists, embedded messages, zeros that mean something', () => {
  const metadata = writeMessage([1, 'web'], [11, writeMessage([1, 'app'], [2, 'web'])], [8, Buffer.alloc(0)])
  const port = writeMessage([1, ''], [2, 0], [3, 8080])
  const quantity = writeMessage([1, '100m'])
  const limits = writeMessage([1, writeMessage([1, 'cpu'], [2, quantity])])
  const probe = writeMessage(
    [1, writeMessage([2, writeMessage([1, '/live'], [2, writeMessage([1, 1], [2, 0], [3, 'http'])])])],
    [2, 0],
  )
  const container = writeMessage([1, 'c'], [2, 'i'], [3, 'a'], [3, 'b'], [6, port], [8, limits], [10, probe])
  const template = writeMessage([2, writeMessage([2, container])])
  const spec = writeMessage([1, 0], [3, template])
  const body = envelope('apps/v1', 'Deployment', writeMessage([1, metadata], [2, spec]))
  assert.equal(decodeProtobufObject(body), {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', labels: { app: 'web' } },
    spec: {
      replicas: 0,
      template: {
        spec: {
          containers: [
            {
              name: 'c',
              image: 'i',
              command: ['a', 'b'],
              ports: [{ containerPort: 8080 }],
              resources: { limits: { cpu: '100m' } },
              livenessProbe: { httpGet: { path: '/live', port: 'http' } },
            },
          ],
        },
      },
    },
  })
})

test('refuses protobuf bodies that it cannot read, with a way out', () => {
  const unknown = envelope('example.com/v1', 'Thing', Buffer.alloc(0))
  assert.throws(() => decodeProtobufObject(unknown), /use `kubectl apply -f`/)
  const cut = envelope('v1', 'ConfigMap', Buffer.from([0x0a, 0x50, 0x01]))
  assert.throws(() => decodeProtobufObject(cut), /ends early or is malformed/)
})

test.run()
