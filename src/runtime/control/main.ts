import { processEnv } from '../shared/env.ts'
import { components } from './components.ts'
import { startController } from './start.ts'

/** Entry of the controller image: `controller COMPONENT [flags]`. A second signal ends it at once. */
const stopping = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stopping.signal.aborted) process.exit(1)
    stopping.abort(new Error(`stopped by ${signal}`))
  })
}

process.exit(
  await startController(process.argv.slice(2), {
    components,
    env: processEnv,
    signal: stopping.signal,
    print: (text) => process.stdout.write(text),
  }),
)
