import { serveHttp } from './http-service.ts'
import { marker, type RunningService, type ServiceOptions } from './service.ts'

/** The planted fault: each replica refuses every fifth charge. Counted, not drawn, so that its rate is exactly 20 %. */
export const faultEvery = 5

/** Takes the money: HTTP/1.1, `POST /charge {customer, cents}`. */
export function startPayments(options: ServiceOptions): Promise<RunningService> {
  let charges = 0
  return serveHttp(options, {
    'POST /charge': ({ customer, cents }) => {
      if (typeof customer !== 'string' || typeof cents !== 'number' || !(cents > 0)) {
        return { status: 400, body: { error: 'customer and cents are needed' } }
      }
      charges += 1
      if (charges % faultEvery === 0)
        return { status: 500, body: { error: 'card reader jammed', planted: true } }
      return { status: 200, body: { customer, charged: cents, note: marker } }
    },
  })
}
