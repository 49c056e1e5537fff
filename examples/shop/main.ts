import { parseArgs } from 'node:util'
import type { RunningService } from './services/service.ts'

const usage = `The shop: the sample application of mesh. One program, a service per command.

  shop web      [--port 8080] [--catalog URL] [--cart URL] [--payments URL] [--stock HOST:PORT]
  shop catalog  [--port 9000] [--health-port 8081]
  shop cart     [--port 8080]
  shop stock    [--port 7000] [--health-port 8081]
  shop payments [--port 8080]
  shop load     [--port 8080] [--target URL] [--rps 20]
  shop call URL

Every service takes --linger-ms, the time it goes on accepting after SIGTERM (1500).
`

const flags = {
  port: { type: 'string' },
  'health-port': { type: 'string', default: '8081' },
  'linger-ms': { type: 'string', default: '1500' },
  catalog: { type: 'string', default: 'http://catalog:9000' },
  cart: { type: 'string', default: 'http://cart:8080' },
  payments: { type: 'string', default: 'http://payments:8080' },
  stock: { type: 'string', default: 'stock:7000' },
  target: { type: 'string', default: 'http://web:8080' },
  rps: { type: 'string', default: '20' },
} as const

/** Exit code for a command line that is wrong, as of `sysexits.h`. */
const usageExitCode = 64

type Flags = ReturnType<typeof parse>['values']

function parse(args: string[]) {
  return parseArgs({ args, options: flags, allowPositionals: true })
}

function numberOf(text: string | undefined, fallback: number, name: string): number {
  const value = text === undefined ? fallback : Number(text)
  if (!Number.isFinite(value) || value < 0) throw new TypeError(`--${name} is not a number: ${text}`)
  return value
}

/** Starts a service. The modules are loaded one by one: a pod needs only its own. */
async function start(command: string, values: Flags): Promise<RunningService | undefined> {
  const lingerMs = numberOf(values['linger-ms'], 0, 'linger-ms')
  const healthPort = numberOf(values['health-port'], 0, 'health-port')
  const port = (fallback: number) => numberOf(values.port, fallback, 'port')
  switch (command) {
    case 'web': {
      const { catalog, cart, payments, stock } = values
      const { startWeb } = await import('./services/web.ts')
      return startWeb({ port: port(8080), lingerMs, upstreams: { catalog, cart, payments, stock } })
    }
    case 'catalog':
      return (await import('./services/catalog.ts')).startCatalog({ port: port(9000), lingerMs, healthPort })
    case 'cart':
      return (await import('./services/cart.ts')).startCart({ port: port(8080), lingerMs })
    case 'stock':
      return (await import('./services/stock.ts')).startStock({ port: port(7000), lingerMs, healthPort })
    case 'payments':
      return (await import('./services/payments.ts')).startPayments({ port: port(8080), lingerMs })
    case 'load': {
      const load = { port: port(8080), lingerMs, target: values.target, rps: numberOf(values.rps, 0, 'rps') }
      return (await import('./services/load.ts')).startLoad({ ...load, maxInFlight: 200 })
    }
    default:
      return undefined
  }
}

/** Stops the service at the first signal; the process then ends by itself, since nothing is left to wait for. */
function stopOnSignal(service: RunningService): void {
  const stop = () => {
    process.off('SIGTERM', stop)
    process.off('SIGINT', stop)
    service.stop().catch((thrown: unknown) => {
      process.stderr.write(`${String(thrown)}\n`)
      process.exitCode = 1
    })
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

async function main(args: string[]): Promise<void> {
  const { positionals, values } = parse(args)
  const [command = '', url] = positionals
  if (command === 'call' && url !== undefined) return (await import('./services/call.ts')).call(new URL(url))
  const service = await start(command, values)
  if (service === undefined) throw new TypeError(`no such command: ${JSON.stringify(command)}`)
  process.stdout.write(`${command} listens on ${service.port}\n`)
  stopOnSignal(service)
}

main(process.argv.slice(2)).catch((thrown: unknown) => {
  process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n\n${usage}`)
  process.exitCode = thrown instanceof TypeError ? usageExitCode : 1
})
