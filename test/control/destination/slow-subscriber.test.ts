import { once } from 'node:events'
import { type ClientHttp2Stream, connect } from 'node:http2'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resources } from '../../../src/runtime/kube/resources.ts'
import {
  GetDestinationSchema,
  type Update,
  UpdateSchema,
} from '../../../src/runtime/proto/gen/io/linkerd/proxy/destination_pb.js'
import { pod, service, slice } from '../../support/cluster-objects.ts'
import { Reader, startDestination, withDeadline } from '../../support/destination.ts'
import { FakeKube } from '../../support/fake-kube.ts'

const test = suite('control/destination: slow subscribers')

const endpointCount = 200
const rounds = 30

function ip(place: number): string {
  return `10.244.1.${place}`
}

/** Puts all pods there anew; the account tells the rounds apart in each endpoint. */
function putRound(kube: FakeKube, round: number): void {
  for (let place = 0; place < endpointCount; place += 1) {
    kube.put(resources.pods, pod(`web-${place}`, { ip: ip(place), serviceAccount: `round-${round}` }))
  }
}

function roundsIn(update: Update): string[] {
  if (update.update.case !== 'add') throw new Error(`an addition was expected, not ${update.update.case}`)
  return update.update.value.addrs.map(({ metricLabels }) => metricLabels.serviceaccount ?? '')
}

/** A gRPC stream whose client takes nothing until it is told to. */
class StalledStream {
  readonly #stream: ClientHttp2Stream
  readonly #messages: Update[] = []
  #buffer = Buffer.alloc(0)
  #wake = () => {}

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream
    stream.on('data', (bytes: Buffer) => this.#accept(bytes))
    stream.on('error', () => {})
  }

  /** Messages until one satisfies the condition; all that came so far. */
  async until(isWanted: (message: Update) => boolean): Promise<Update[]> {
    while (!this.#messages.some(isWanted)) {
      await withDeadline(
        new Promise<void>((resolve) => {
          this.#wake = resolve
        }),
        10_000,
      )
    }
    return this.#messages
  }

  close(): void {
    this.#stream.close()
  }

  /** Length-prefixed messages of gRPC over HTTP/2. */
  #accept(bytes: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, bytes])
    while (this.#buffer.length >= 5) {
      const end = 5 + this.#buffer.readUInt32BE(1)
      if (this.#buffer.length < end) break
      this.#messages.push(fromBinary(UpdateSchema, this.#buffer.subarray(5, end)))
      this.#buffer = this.#buffer.subarray(end)
    }
    this.#wake()
  }
}

test('one who takes nothing holds back nobody, and then gets the newest state, not the history', async () => {
  const kube = new FakeKube()
  kube.put(resources.services, service('web'))
  putRound(kube, 0)
  const members = Array.from({ length: endpointCount }, (_, place) => ({
    pod: `web-${place}`,
    ip: ip(place),
  }))
  kube.put(resources.endpointSlices, slice('web', members))
  const control = await startDestination(kube)
  const path = 'web.shop.svc.cluster.local:80'

  const session = connect(control.discoveryUrl, { settings: { initialWindowSize: 0 } })
  await once(session, 'remoteSettings')
  const request = toBinary(GetDestinationSchema, create(GetDestinationSchema, { path }))
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(request.length, 1)
  const stream = session.request({
    ':method': 'POST',
    ':path': '/io.linkerd.proxy.destination.Destination/Get',
    'content-type': 'application/grpc+proto',
    te: 'trailers',
  })
  const stalled = new StalledStream(stream)
  stream.end(Buffer.concat([prefix, request]))
  await once(stream, 'response')

  const quick = new Reader((options) => control.discovery.get({ path }, options))
  assert.is(roundsIn(await quick.next()).length, endpointCount)
  for (let round = 1; round <= rounds; round += 1) {
    putRound(kube, round)
    const told = new Set<string>()
    while (told.size < endpointCount) {
      const update = await quick.next()
      if (update.update.case !== 'add') throw new Error('an addition was expected')
      for (const { addr, metricLabels } of update.update.value.addrs) {
        if (metricLabels.serviceaccount === `round-${round}`) told.add(JSON.stringify(addr?.ip?.ip))
      }
    }
  }

  session.settings({ initialWindowSize: 1 << 24 })
  const messages = await stalled.until((message) => roundsIn(message).includes(`round-${rounds}`))
  assert.ok(messages.length < 10, `${messages.length} messages were queued for the slow one`)
  assert.equal([...new Set(roundsIn(messages.at(-1) as Update))], [`round-${rounds}`])

  await quick.close()
  stalled.close()
  session.close()
  await control.close()
})

test.run()
