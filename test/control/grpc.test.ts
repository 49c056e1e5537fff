import { createConnection } from 'node:net'
import { create } from '@bufbuild/protobuf'
import { Code, ConnectError, createClient } from '@connectrpc/connect'
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node'
import { Registry } from 'prom-client'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { EventRecorder } from '../../src/runtime/control/events.ts'
import { startGrpcServer } from '../../src/runtime/control/grpc.ts'
import { resources } from '../../src/runtime/kube/resources.ts'
import type { KubeObject } from '../../src/runtime/kube/types.ts'
import { Destination, UpdateSchema } from '../../src/runtime/proto/gen/io/linkerd/proxy/destination_pb.js'
import { FakeClock, settle } from '../support/fake-clock.ts'
import { FakeKube } from '../support/fake-kube.ts'
import { until } from '../support/until.ts'

const test = suite('control/grpc')

async function start(clock = new FakeClock()) {
  const metrics = new Registry()
  let open = 0
  const server = await startGrpcServer({
    address: { host: '127.0.0.1', port: 0 },
    metrics,
    clock,
    routes: (router) =>
      router.service(Destination, {
        async *get(request, { signal }) {
          if (request.path === 'wrong') throw new ConnectError('wrong', Code.InvalidArgument)
          open += 1
          try {
            yield create(UpdateSchema)
            await new Promise((_, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
            })
          } finally {
            open -= 1
          }
        },
      }),
  })
  const baseUrl = `http://127.0.0.1:${server.address.port}`
  const sessionManager = new Http2SessionManager(baseUrl)
  const client = createClient(Destination, createGrpcTransport({ baseUrl, sessionManager }))
  return { server, metrics, client, sessionManager, clock, openCount: () => open }
}

test('on close calls have a moment to end, then handlers are told and nothing stays open', async () => {
  const { server, client, clock, openCount, sessionManager } = await start()
  let received = 0
  let outcome = 'open'
  const reading = (async () => {
    for await (const _ of client.get({ path: 'a' })) received += 1
  })().then(
    () => {
      outcome = 'ended'
    },
    () => {
      outcome = 'cut'
    },
  )
  await until('the stream is open', () => received === 1)
  const closed = server.close()
  await clock.advance(999)
  assert.is(outcome, 'open')
  await clock.advance(1)
  await closed
  await reading
  assert.is(outcome, 'cut')
  await until('the handler has ended', () => openCount() === 0)
  sessionManager.abort()
})

test('a client that goes away ends its streams', async () => {
  const { server, client, metrics, openCount, sessionManager } = await start()
  const stopping = new AbortController()
  const reading = (async () => {
    for await (const _ of client.get({ path: 'a' }, { signal: stopping.signal })) stopping.abort()
  })().catch(() => {})
  await reading
  await until('the handler has ended', () => openCount() === 0)
  await until('it is counted', async () => /grpc_code="Canceled"\} 1/.test(await metrics.metrics()))
  sessionManager.abort()
  await server.close()
})

test('refusals are counted by their code, and other protocols are not spoken', async () => {
  const { server, client, metrics, sessionManager } = await start()
  const code = await (async () => {
    for await (const _ of client.get({ path: 'wrong' }));
  })().catch((error: unknown) => ConnectError.from(error).code)
  assert.is(code, Code.InvalidArgument)
  assert.match(await metrics.metrics(), /grpc_code="InvalidArgument"\} 1/)
  sessionManager.abort()
  await server.close()
})

test('a peer that no longer answers is dropped', async () => {
  const { server, clock, sessionManager } = await start()
  const socket = createConnection(server.address.port, '127.0.0.1')
  let isClosed = false
  socket.on('close', () => {
    isClosed = true
  })
  socket.on('error', () => {})
  socket.resume()
  // The preface and empty settings, RFC 9113 §3.4; pings stay without an answer.
  socket.write(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
    ]),
  )
  await until('the server watches it', () => clock.sleeperCount > 0)
  await clock.advance(39_000)
  assert.not(isClosed)
  await clock.advance(1_000)
  await until('it was dropped', () => isClosed)
  sessionManager.abort()
  await server.close()
})

test('Events: many about one object are thinned out, and a slow API does not pile them up', async () => {
  const kube = new FakeKube()
  const clock = new FakeClock()
  const recorder = new EventRecorder({ kube, clock, component: 'linkerd-identity' })
  const target = (name: string) => ({ apiVersion: 'v1', kind: 'ServiceAccount', name, namespace: 'shop' })
  for (let count = 0; count < 30; count++) recorder.record(target('web'), 'Normal', 'Reason', 'message')
  await settle()
  assert.is(kube.all(resources.events).length, 10)
  await clock.advance(300_000)
  recorder.record(target('web'), 'Normal', 'Reason', 'message')
  recorder.record(target('web'), 'Normal', 'Reason', 'message')
  await settle()
  assert.is(kube.all(resources.events).length, 11)
  const names = new Set(kube.all<KubeObject>(resources.events).map(({ metadata }) => metadata.name))
  assert.is(names.size, 11)
  kube.create = () => new Promise(() => {})
  let started = 0
  kube.create = () => {
    started += 1
    return new Promise(() => {})
  }
  for (let count = 0; count < 100; count++)
    recorder.record(target(`t${count}`), 'Normal', 'Reason', 'message')
  assert.is(started, 32)
})

test.run()
