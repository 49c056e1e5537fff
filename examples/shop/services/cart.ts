import { serveHttp } from './http-service.ts'
import { marker, type RunningService, type ServiceOptions } from './service.ts'

/** Carts of the customers who came last; the oldest is forgotten first. */
const maxCarts = 1_000

/** Holds what customers put aside: HTTP/1.1, `POST /add {customer, sku}`. */
export function startCart(options: ServiceOptions): Promise<RunningService> {
  const carts = new Map<string, string[]>()
  return serveHttp(options, {
    'POST /add': ({ customer, sku }) => {
      if (typeof customer !== 'string' || typeof sku !== 'string') {
        return { status: 400, body: { error: 'customer and sku are needed' } }
      }
      const cart = [...(carts.get(customer) ?? []), sku].slice(-20)
      carts.delete(customer)
      carts.set(customer, cart)
      const oldest = carts.keys().next()
      if (carts.size > maxCarts && !oldest.done) carts.delete(oldest.value)
      return { status: 200, body: { customer, cart, note: marker } }
    },
  })
}
