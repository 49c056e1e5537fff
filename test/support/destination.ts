import { type Client, createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { Registry } from 'prom-client'
import type { ControllerDeps } from '../../src/runtime/control/deps.ts'
import { flags, startServers } from '../../src/runtime/control/destination/main.ts'
import { parseFlags } from '../../src/runtime/control/flags.ts'
import { Readiness } from '../../src/runtime/control/readiness.ts'
import { Destination } from '../../src/runtime/proto/gen/io/linkerd/proxy/destination_pb.js'
import { InboundServerPolicies } from '../../src/runtime/proto/gen/io/linkerd/proxy/inbound_pb.js'
import { OutboundPolicies } from '../../src/runtime/proto/gen/io/linkerd/proxy/outbound_pb.js'
import { type Clock, systemClock } from '../../src/runtime/shared/clock.ts'
import { createLogger } from '../../src/runtime/shared/logger.ts'
import type { FakeKube } from './fake-kube.ts'

/** The destination controller, serving on loopback from a cluster in memory. */
export interface DestinationUnderTest {
  discovery: Client<typeof Destination>
  discoveryUrl: string
  /** Port of the validating webhook. */
  validatorPort: number
  inbound: Client<typeof InboundServerPolicies>
  outbound: Client<typeof OutboundPolicies>
  readiness: Readiness
  metrics: Registry
  close(): Promise<void>
}

/** Sleeps a hundredth of what is asked, so that tests of retries need not wait. */
export const hurriedClock: Clock = {
  nowMs: systemClock.nowMs,
  sleep: (durationMs, signal) => systemClock.sleep(durationMs / 100, signal),
}

/** @param args flags of the controller */
export async function startDestination(
  kube: FakeKube,
  args: string[] = [],
  clock: Clock = systemClock,
): Promise<DestinationUnderTest> {
  const ending = new AbortController()
  const readiness = new Readiness()
  const metrics = new Registry()
  const anywhere = ['--addr', '127.0.0.1:0', '--policy-addr', '127.0.0.1:0', '--webhook-addr', '127.0.0.1:0']
  const parsed = parseFlags([...anywhere, ...args], 'destination', '', flags)
  const deps: ControllerDeps = {
    kube,
    logger: createLogger('destination', 'silent'),
    clock,
    signal: ending.signal,
    metrics,
    ready: (name) => readiness.guard(name),
    flags: parsed.flags,
    options: parsed.options,
    env: () => undefined,
  }
  const servers = await startServers(deps)
  const transport = (port: number) => createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` })
  return {
    discoveryUrl: `http://127.0.0.1:${servers.discovery.address.port}`,
    validatorPort: servers.validator.address.port,
    discovery: createClient(Destination, transport(servers.discovery.address.port)),
    inbound: createClient(InboundServerPolicies, transport(servers.policy.address.port)),
    outbound: createClient(OutboundPolicies, transport(servers.policy.address.port)),
    readiness,
    metrics,
    close: async () => {
      ending.abort(new Error('the test ended'))
      await Promise.all([
        servers.discovery.close(),
        servers.policy.close(),
        servers.validator.close(),
        servers.background,
      ])
    },
  }
}

/** A stream that is read message by message, with a deadline. */
export class Reader<T> {
  readonly #iterator: AsyncIterator<T>
  readonly #ending = new AbortController()

  /** @param open starts the stream; it ends when the signal aborts */
  constructor(open: (options: { signal: AbortSignal }) => AsyncIterable<T>) {
    this.#iterator = open({ signal: this.#ending.signal })[Symbol.asyncIterator]()
  }

  /** The next message. Rejects when the stream ends, fails, or is silent for ten seconds. */
  async next(): Promise<T> {
    const result = await withDeadline(this.#iterator.next(), 10_000)
    if (result.done === true) throw new Error('the stream ended')
    return result.value
  }

  /** Messages until one satisfies the condition; that one. */
  async until(isWanted: (message: T) => boolean): Promise<T> {
    for (;;) {
      const message = await this.next()
      if (isWanted(message)) return message
    }
  }

  async close(): Promise<void> {
    this.#ending.abort(new Error('enough'))
    await this.#iterator.return?.().catch(() => {})
  }
}

/** Rejects when the work takes longer. */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    return await Promise.race([work, expired])
  } finally {
    clearTimeout(timer)
  }
}
