import { parseArgs } from 'node:util'
import { paint } from '../../src/runtime/cli/output.ts'
import { statePaths } from '../../src/runtime/local/paths.ts'
import { processEnv } from '../../src/runtime/shared/env.ts'
import { ClaimBook } from './claims.ts'
import { authorization } from './proofs/authorization.ts'
import { encryption } from './proofs/encryption.ts'
import { identities } from './proofs/identities.ts'
import type { Proof } from './proofs/proof.ts'
import { resilience } from './proofs/resilience.ts'
import { traffic } from './proofs/traffic.ts'
import { setUp, setUpCommands } from './set-up.ts'
import { CommandError, createShell, meshCommand, type Shell } from './shell.ts'
import { connectWorld, type World } from './world.ts'

const proofs: readonly Proof[] = [traffic, encryption, identities, authorization, resilience]

const colour = process.stdout.isTTY === true && processEnv('NO_COLOR') === undefined

function print(line = ''): void {
  process.stdout.write(`${line}\n`)
}

/** Shows each proof: its command, what that printed, and the claims. */
async function show(world: World, book: ClaimBook): Promise<void> {
  for (const proof of proofs) {
    print()
    print(paint(proof.heading, 'bold', colour))
    await proof.prepare?.(world)
    if (proof.command !== undefined) {
      print(`$ ${proof.command}`)
      print((await world.shell.run(proof.command)).stdout.trimEnd())
    }
    for (const claim of proof.claims(world)) await book.check(claim, world.signal)
  }
}

function suggest(kubeconfig: string): void {
  print(`
It stays up until Ctrl-C. In another terminal:

  export KUBECONFIG=${kubeconfig}
  alias mesh='${meshCommand}'

  mesh viz stat deploy -n shop                     golden metrics
  mesh viz stat deploy/web -n shop --to deploy/payments
  mesh viz edges deploy -n shop -o wide            who talks to whom, and as whom
  mesh check
  kubectl get pods -n shop -w                      and then: kubectl delete pod -n shop -l app=cart
  kubectl scale deploy/cart -n shop --replicas=3
  kubectl delete -f examples/shop/policy.yaml      let anyone call payments again
`)
}

/** Resolves when the signal aborts; keeps the process alive until then. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => undefined, 3_600_000)
    const end = () => {
      clearInterval(timer)
      resolve()
    }
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

async function demonstrate(cluster: string, shell: Shell, signal: AbortSignal): Promise<World> {
  const startedMs = performance.now()
  const { kubeconfig } = statePaths(cluster, processEnv)
  let world: World | undefined
  const connected = () => {
    world ??= connectWorld(kubeconfig, shell, signal)
    return world
  }
  await setUp(setUpCommands(cluster), shell, connected)
  print(`\nLive after ${((performance.now() - startedMs) / 1_000).toFixed(1)} s.`)
  return connected()
}

/** @returns the exit code */
async function main(assert: boolean, signal: AbortSignal): Promise<number> {
  const cluster = assert ? 'demo-assert' : 'demo'
  const { kubeconfig } = statePaths(cluster, processEnv)
  // Cleaning up must work after Ctrl-C too.
  const cleaner = createShell({}, new AbortController().signal)
  const stop = () => cleaner.run(`mesh local stop --name ${cluster}`)
  const book = new ClaimBook(print, colour)
  let world: World | undefined
  // One that was left by a demo that could not clean up.
  await stop().catch(() => undefined)
  try {
    world = await demonstrate(cluster, createShell({ KUBECONFIG: kubeconfig }, signal), signal)
    await show(world, book)
    if (!assert) {
      suggest(kubeconfig)
      await aborted(signal)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    world?.kube.close()
    print(`\n$ mesh local stop --name ${cluster}`)
    await stop()
  }
  if (!assert) return 0
  for (const title of book.failed) print(`failed: ${title}`)
  print(`${book.passed} passed, ${book.failed.length} failed`)
  return book.failed.length === 0 && !signal.aborted ? 0 : 1
}

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => interrupted.abort(new Error(`stopped by ${name}`)))
}

try {
  const { values } = parseArgs({ options: { assert: { type: 'boolean', default: false } } })
  process.exitCode = await main(values.assert, interrupted.signal)
} catch (error) {
  const isKnown = error instanceof CommandError || error instanceof TypeError
  process.stderr.write(
    `${error instanceof Error ? (isKnown ? error.message : error.stack) : String(error)}\n`,
  )
  process.exitCode = 1
}
