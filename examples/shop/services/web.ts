import { type Client, createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { Catalog } from '../gen/catalog_pb.js'
import { createHttpClient, type HttpClient } from './http-client.ts'
import { type Answer, serveHttp } from './http-service.ts'
import { marker, type RunningService, type ServiceOptions } from './service.ts'
import { reserve } from './stock-client.ts'

/** Where the others are. */
export interface Upstreams {
  /** Base URL of the catalog, gRPC over cleartext HTTP/2. */
  catalog: string
  /** Base URL of the carts. */
  cart: string
  /** Base URL of the payments. */
  payments: string
  /** `HOST:PORT` of the stock. */
  stock: string
}

interface Clients {
  catalog: Client<typeof Catalog>
  cart: HttpClient
  payments: HttpClient
  stock: string
}

/**
 * The front of the shop: HTTP/1.1, `POST /browse {customer}` (calls the catalog) and `POST /checkout {customer, sku}`
 * (calls catalog, stock, payments, cart). A failure of another service is a 502 that names it; a refusal that payments
 * planted is marked `planted`.
 */
export async function startWeb(options: ServiceOptions & { upstreams: Upstreams }): Promise<RunningService> {
  const { upstreams } = options
  const clients: Clients = {
    catalog: createClient(
      Catalog,
      createGrpcTransport({ baseUrl: upstreams.catalog, defaultTimeoutMs: 5_000 }),
    ),
    cart: createHttpClient(upstreams.cart),
    payments: createHttpClient(upstreams.payments),
    stock: upstreams.stock,
  }
  const service = await serveHttp(options, {
    'POST /browse': () => answering(() => browse(clients)),
    'POST /checkout': ({ sku }) => answering(() => checkout(clients, typeof sku === 'string' ? sku : '')),
  })
  return {
    port: service.port,
    async stop() {
      await service.stop()
      clients.cart.close()
      clients.payments.close()
    },
  }
}

/** A call to another service that went wrong. */
class UpstreamError extends Error {
  readonly answer: Answer

  constructor(service: string, detail: string, planted = false) {
    super(`${service}: ${detail}`)
    this.answer = { status: 502, body: { error: this.message, service, planted } }
  }
}

async function answering(handle: () => Promise<Answer>): Promise<Answer> {
  try {
    return await handle()
  } catch (thrown) {
    if (thrown instanceof UpstreamError) return thrown.answer
    throw thrown
  }
}

async function calling<T>(service: string, call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (thrown) {
    throw new UpstreamError(service, thrown instanceof Error ? thrown.message : String(thrown))
  }
}

async function browse(clients: Clients): Promise<Answer> {
  const { items, customer } = await calling('catalog', clients.catalog.listItems({ customer: marker }))
  const shown = items.map(({ sku, name, priceCents }) => ({ sku, name, priceCents }))
  return { status: 200, body: { items: shown, note: customer } }
}

async function checkout(clients: Clients, sku: string): Promise<Answer> {
  const item = await calling('catalog', clients.catalog.findItem({ sku, customer: marker }))
  const left = await calling('stock', reserve(clients.stock, item.sku))
  const order = { customer: marker, cents: item.priceCents }
  const payment = await calling('payments', clients.payments.post('/charge', order))
  if (payment.status !== 200) {
    throw new UpstreamError('payments', `status ${payment.status}`, payment.body.planted === true)
  }
  const cart = await calling('cart', clients.cart.post('/add', { customer: marker, sku: item.sku }))
  if (cart.status !== 200) throw new UpstreamError('cart', `status ${cart.status}`)
  return { status: 200, body: { sku: item.sku, left, charged: payment.body.charged, note: marker } }
}
