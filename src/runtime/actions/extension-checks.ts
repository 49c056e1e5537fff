import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { isHealthy } from '../../checks/run.ts'
import type { Check, CheckObserver, CheckResult } from '../../checks/types.ts'
import { resources } from '../kube/resources.ts'
import type { KubeClient } from '../kube/types.ts'
import type { Clock } from '../shared/clock.ts'
import { type EnvReader, inheritedEnv } from '../shared/env.ts'
import { labels } from '../shared/labels.ts'
import { vizCheck } from './viz-check.ts'
import { connectViz } from './viz-client.ts'

export interface ExtensionCheckOptions {
  controlPlaneNamespace: string
  dataPlaneNamespace?: string
  cliVersion: string
  waitMs: number
  /** Look at the proxies of applications too. */
  proxy: boolean
  /** Flags that reach the cluster, as they were given: they are passed on. */
  connectionArgs: readonly string[]
}

export interface ExtensionCheckDeps {
  client: KubeClient
  clock: Clock
  env: EnvReader
  observer?: CheckObserver
}

/** An extension may take a little longer than it was told to wait. */
const graceMs = 30_000

/** Runs the checks of every extension whose namespace is in the cluster. */
export async function checkExtensions(
  options: ExtensionCheckOptions,
  deps: ExtensionCheckDeps,
): Promise<{ results: CheckResult[]; isHealthy: boolean }> {
  const results: CheckResult[] = []
  for (const name of await extensionsOf(deps.client)) {
    if (name === 'viz') results.push(...(await checkViz(options, deps)))
    else results.push(...(await checkForeign(name, options, deps)))
  }
  return { results, isHealthy: isHealthy(results) }
}

async function extensionsOf(client: KubeClient): Promise<string[]> {
  const { items } = await client.list(resources.namespaces, { labelSelector: labels.extension })
  return [...new Set(items.map(({ metadata }) => metadata.labels?.[labels.extension] ?? ''))]
    .filter(Boolean)
    .sort()
}

async function checkViz(options: ExtensionCheckOptions, deps: ExtensionCheckDeps): Promise<CheckResult[]> {
  const { dataPlaneNamespace, ...rest } = options
  const { results } = await vizCheck(
    { ...rest, ...(dataPlaneNamespace === undefined ? {} : { namespace: dataPlaneNamespace }) },
    {
      connect: () => deps.client,
      viz: () => connectViz(deps.client),
      clock: deps.clock,
      ...(deps.observer === undefined ? {} : { observer: deps.observer }),
    },
  )
  return results
}

/** An extension of its own: a program on the PATH that answers `check --output=json`. */
async function checkForeign(
  name: string,
  options: ExtensionCheckOptions,
  { env, observer }: ExtensionCheckDeps,
): Promise<CheckResult[]> {
  const category = `linkerd-${name}`
  const program = /^[a-z0-9-]+$/.test(name)
    ? findProgram([`mesh-${name}`, `linkerd-${name}`], env)
    : undefined
  const results =
    program === undefined ? [missingProgram(category, name)] : await runProgram(program, category, options)
  for (const result of results) observer?.onResult?.(result)
  return results
}

/** The first of the names on the PATH. Only absolute folders count: a working directory must not bring programs. */
export function findProgram(names: readonly string[], env: EnvReader): string | undefined {
  const folders = (env('PATH') ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder))
  const candidates = names.flatMap((name) => folders.map((folder) => path.join(folder, name)))
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

const never = async () => undefined

function missingProgram(category: string, name: string): CheckResult {
  const check: Check = {
    code: 'MESH_CHECK_EXTENSION_PROGRAM',
    description: `Linkerd extension command linkerd-${name} exists`,
    anchor: 'extensions',
    isWarning: true,
    fix: `Put mesh-${name} or linkerd-${name} on the PATH.`,
    run: never,
  }
  const reason = `neither mesh-${name} nor linkerd-${name} is on the PATH`
  return { category, check, outcome: 'warning', reason }
}

function runProgram(
  program: string,
  category: string,
  options: ExtensionCheckOptions,
): Promise<CheckResult[]> {
  const namespace = options.dataPlaneNamespace
  const args = [
    'check',
    ...options.connectionArgs,
    `--linkerd-namespace=${options.controlPlaneNamespace}`,
    ...(options.proxy ? ['--proxy'] : []),
    ...(namespace === undefined ? [] : [`--namespace=${namespace}`]),
    `--wait=${Math.ceil(options.waitMs / 1000)}s`,
    '--output=json',
  ]
  return new Promise((resolve) => {
    const limits = { timeout: options.waitMs + graceMs, maxBuffer: 16e6, env: inheritedEnv() }
    execFile(program, args, limits, (_, stdout, stderr) =>
      resolve(readAnswer(stdout, stderr, category, program)),
    )
  })
}

interface Answer {
  categories?: {
    categoryName?: string
    checks?: { description?: string; code?: string; hint?: string; error?: string; result?: string }[]
  }[]
}

/** The results in an extension's answer; what is not one is a failed check with what the extension said. */
export function readAnswer(stdout: string, stderr: string, category: string, program: string): CheckResult[] {
  try {
    const { categories } = JSON.parse(stdout) as Answer
    if (!Array.isArray(categories)) throw new Error('no categories')
    return categories.flatMap(({ categoryName = category, checks = [] }) =>
      checks.map(({ description = '', hint, error, result }) => ({
        category: categoryName,
        check: {
          code: 'MESH_CHECK_EXTENSION',
          description,
          ...(hint === undefined ? {} : { fix: hint }),
          run: never,
        } satisfies Check,
        outcome: result === 'success' ? 'success' : result === 'warning' ? 'warning' : 'error',
        ...(error === undefined ? {} : { reason: error }),
      })),
    )
  } catch {
    const check: Check = {
      code: 'MESH_CHECK_EXTENSION',
      description: `${path.basename(program)} answers its checks`,
      anchor: 'extensions',
      fix: `${program} check --output=json`,
      run: never,
    }
    const said = (stderr.trim() || stdout.trim() || 'nothing').slice(0, 1_000)
    return [{ category, check, outcome: 'error', reason: `it did not answer with results; it said: ${said}` }]
  }
}
