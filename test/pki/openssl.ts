import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs openssl in a folder that holds the given files. @returns its standard output */
export function openssl(args: string[], files: Record<string, string | Buffer> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-pki-'))
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    return execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Runs openssl and reads a file that it wrote. */
export function opensslFile(
  args: string[],
  output: string,
  files: Record<string, string | Buffer> = {},
): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-pki-'))
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
    return execFileSync('cat', [join(folder, output)])
  } finally {
    rmSync(folder, { recursive: true })
  }
}
