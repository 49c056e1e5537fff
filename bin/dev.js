#!/usr/bin/env node
// The development entry: the same program from its sources, through tsx.
import { register } from 'tsx/esm/api'

register()
const { runCli } = await import('../src/runtime/cli/main.ts')
// oxlint-disable-next-line typescript/no-unsafe-argument -- a JavaScript file has no types
await runCli(process.argv.slice(2), { packageRoot: new URL('..', import.meta.url).pathname, from: 'src' })
process.stdout.write('', () => process.stderr.write('', () => process.exit()))
