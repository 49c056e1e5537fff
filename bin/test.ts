import { spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { countOf, type Finished, objectionTo } from './verdict.ts'

/**
 * Runs the stages of `npm test` and ends with `N passed, N failed`.
 *
 * uvu passes falsely in several ways (no `test.run()`, `only`, a throwing hook, an empty glob). So each file runs in a
 * process of its own with a deadline, and only the counts that it prints are believed.
 */

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const unitDeadlineMs = 300_000
const e2eDeadlineMs = 600_000
const toolDeadlineMs = 1_500_000
/** Fewer unit tests than this mean that the search for them is broken. */
const leastUnitTests = 50

interface Outcome {
  name: string
  passed: number
  failed: number
  durationMs: number
  /** Shown when something failed. */
  output: string
}

function run(command: string, args: string[], deadlineMs: number): Promise<Finished> {
  return new Promise((resolve) => {
    const startedMs = Date.now()
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
    })
    let output = ''
    let timedOut = false
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-200_000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const timer = setTimeout(() => {
      timedOut = true
      killGroup(child.pid)
    }, deadlineMs)
    const finish = (code: number | null) => {
      clearTimeout(timer)
      // What a test leaves running in its group would disturb the next one.
      killGroup(child.pid)
      resolve({ code, output, durationMs: Date.now() - startedMs, timedOut })
    }
    child.on('error', (error) => {
      output += `${error.message}\n`
      finish(null)
    })
    child.on('exit', (code) => setImmediate(finish, code))
  })
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group is gone already.
  }
}

async function filesUnder(folder: string, suffix: RegExp): Promise<string[]> {
  const entries = await readdir(path.join(root, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && suffix.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .sort()
}

async function runTestFile(file: string, deadlineMs: number): Promise<Outcome> {
  const source = await readFile(path.join(root, file), 'utf8')
  const finished = await run(process.execPath, ['--import', 'tsx', file], deadlineMs)
  const total = countOf(finished.output, 'Total') ?? 0
  const passed = countOf(finished.output, 'Passed') ?? 0
  const objection = objectionTo(finished, source)
  const failed = objection === undefined ? 0 : Math.max(1, total - passed)
  const output = objection === undefined ? '' : `${finished.output}\n${file}: ${objection}`
  return { name: file, passed, failed, durationMs: finished.durationMs, output }
}

async function runTool(name: string, command: string, args: string[]): Promise<Outcome> {
  const finished = await run(command, args, toolDeadlineMs)
  const failed = finished.code === 0 ? 0 : 1
  return {
    name,
    passed: 1 - failed,
    failed,
    durationMs: finished.durationMs,
    output: failed ? finished.output : '',
  }
}

/** cargo's own count of tests, one line per test binary. */
async function runCargoTests(pattern: string | undefined): Promise<Outcome> {
  const args = ['test', '--profile', 'ci', '--workspace', ...(pattern === undefined ? [] : [pattern])]
  const finished = await run('cargo', args, toolDeadlineMs)
  const lines = [
    ...finished.output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm),
  ]
  const sum = (group: number) => lines.reduce((total, line) => total + Number(line[group]), 0)
  const broken = finished.code !== 0 || lines.length === 0 || sum(3) > 0
  const failed = broken ? Math.max(1, sum(2) + sum(3)) : 0
  return {
    name: 'cargo test',
    passed: sum(1),
    failed,
    durationMs: finished.durationMs,
    output: failed ? finished.output : '',
  }
}

function report(outcome: Outcome): Outcome {
  const mark = outcome.failed === 0 ? 'ok  ' : 'FAIL'
  console.log(
    `${mark} ${outcome.name}  (${outcome.passed} passed, ${(outcome.durationMs / 1000).toFixed(1)} s)`,
  )
  if (outcome.failed > 0) console.log(outcome.output.replace(/^/gm, '    | '))
  return outcome
}

/** At most `width` files at once. */
async function runTestFiles(files: string[], deadlineMs: number, width: number): Promise<Outcome[]> {
  const queue = [...files]
  const outcomes: Outcome[] = []
  const work = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      outcomes.push(report(await runTestFile(file, deadlineMs)))
    }
  }
  await Promise.all(Array.from({ length: width }, work))
  return outcomes
}

const stages = {
  async static() {
    const tool = (name: string) => path.join('node_modules', '.bin', name)
    return [
      report(await runTool('biome: format and lint', tool('biome'), ['check', '--error-on-warnings', '.'])),
      report(await runTool('oxlint: promises and exhaustiveness', tool('oxlint'), ['--type-aware'])),
      report(await runTool('tsc: types', tool('tsc'), ['--noEmit'])),
      report(await runTool('buf: protocol definitions', tool('buf'), ['lint'])),
      report(await runTool('rustfmt', 'cargo', ['fmt', '--all', '--check'])),
    ]
  },
  async rust(pattern?: string) {
    const build = report(await runTool('cargo build', 'cargo', ['build', '--profile', 'ci', '--workspace']))
    if (build.failed > 0) return [build]
    const lint = ['clippy', '--profile', 'ci', '--workspace', '--all-targets', '--', '-D', 'warnings']
    return [build, report(await runTool('clippy', 'cargo', lint)), report(await runCargoTests(pattern))]
  },
  async build() {
    return [report(await runTool('bundle', process.execPath, ['--import', 'tsx', 'bin/build.ts']))]
  },
  async unit(pattern?: string) {
    const all = await filesUnder('test', /\.test\.tsx?$/)
    const files = all.filter((file) => pattern === undefined || file.includes(pattern))
    const outcomes = await runTestFiles(files, unitDeadlineMs, 2)
    const total = outcomes.reduce((sum, outcome) => sum + outcome.passed + outcome.failed, 0)
    const least = pattern === undefined ? leastUnitTests : 1
    if (total < least) outcomes.push(report(tooFew(total, least)))
    return outcomes
  },
  async e2e(pattern?: string) {
    const all = await filesUnder('test/e2e', /\.e2e\.ts$/)
    const files = all.filter((file) => pattern === undefined || file.includes(pattern))
    return runTestFiles(files, e2eDeadlineMs, 1)
  },
} satisfies Record<string, (pattern?: string) => Promise<Outcome[]>>

function tooFew(total: number, least: number): Outcome {
  const output = `found ${total} tests, expected at least ${least}`
  return { name: 'test discovery', passed: 0, failed: 1, durationMs: 0, output }
}

async function main(): Promise<void> {
  const [stage, pattern] = process.argv.slice(2)
  const names = Object.keys(stages) as (keyof typeof stages)[]
  const chosen = stage === undefined ? names : names.filter((name) => name === stage)
  if (chosen.length === 0) {
    console.error(`unknown stage '${stage}': choose one of ${names.join(', ')}`)
    process.exit(2)
  }
  const outcomes: Outcome[] = []
  for (const name of chosen) {
    console.log(`\n# ${name}`)
    outcomes.push(...(await stages[name](pattern)))
  }
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0)
  const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0)
  const culprits = outcomes.filter((outcome) => outcome.failed > 0).map((outcome) => outcome.name)
  if (culprits.length > 0) console.log(`\nfailed: ${culprits.join(', ')}`)
  console.log(`\n${passed} passed, ${failed} failed`)
  process.exit(failed === 0 && passed > 0 ? 0 : 1)
}

await main()
