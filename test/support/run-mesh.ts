import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** How a run of the real program ended. */
export interface MeshRun {
  code: number | null
  stdout: string
  stderr: string
}

const entry = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const bundle = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))

/**
 * Runs `bin/run.js`, bundled, with nothing of the caller's environment but its PATH.
 * @throws Error when it was not built
 */
export function runMesh(
  args: readonly string[],
  options: { stdin?: string; env?: Record<string, string> } = {},
): Promise<MeshRun> {
  if (!existsSync(bundle)) throw new Error('dist/ is not built: node --import tsx bin/build.ts')
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [entry, ...args], {
      env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', ...options.env },
    })
    const run: MeshRun = { code: null, stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      run.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      run.stderr += text
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ ...run, code }))
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.stdin ?? '')
  })
}
