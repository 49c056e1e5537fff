import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { machineState, processesWith } from './machine-state.ts'

const test = suite('local/daemon/plain-user')
const root = fileURLToPath(new URL('../../../', import.meta.url))
/** `nobody`, which every machine has. */
const userId = 65534
const isRoot = process.getuid?.() === 0

interface Result {
  output?: string
  code?: string
  next?: string[]
  message?: string
}

/**
 * Runs the program as a user without rights. Root lends itself to `nobody` in a mount namespace of its own, where
 * the repository, Node and the table of subordinate ids can be seen, so that the machine is not changed.
 */
async function runAsPlainUser(folder: string, subordinateIds: string): Promise<Result> {
  const home = join(folder, 'home')
  const repository = join(folder, 'repository')
  const node = join(folder, 'node')
  const table = join(folder, 'subid')
  for (const path of [home, repository, node]) await mkdir(path)
  await writeFile(table, subordinateIds)
  await chmod(folder, 0o755)
  await chown(home, userId, userId)
  const script = `set -e
    mount --bind ${root} ${repository}
    mount --bind ${dirname(process.execPath)} ${node}
    for file in /etc/subuid /etc/subgid; do [ -e $file ] || touch $file; done
    mount --bind ${table} /etc/subuid
    mount --bind ${table} /etc/subgid
    cd ${repository}
    exec setpriv --reuid=${userId} --regid=${userId} --clear-groups --inh-caps=-all \
      env HOME=${home} TMPDIR=${home} ${node}/node --import tsx test/local/daemon/plain-user-program.ts ${home}/state`
  return resultOf(spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'pipe'] }))
}

function runDirectly(folder: string): Promise<Result> {
  const program = join(root, 'test/local/daemon/plain-user-program.ts')
  const args = ['--import', 'tsx', program, join(folder, 'state')]
  return resultOf(spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] }))
}

function resultOf(child: ReturnType<typeof spawn>): Promise<Result> {
  return new Promise((resolve, reject) => {
    let output = ''
    let problems = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      problems += text
    })
    child.on('close', () => {
      if (output.startsWith('{')) resolve(JSON.parse(output) as Result)
      else reject(new Error(`no result: ${problems}${output}`))
    })
  })
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'mesh-user-'))
  try {
    await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test('runs pods without root, as several users, and leaves nothing behind', () =>
  inFolder(async (folder) => {
    const before = machineState()
    const ids = `${userId}:200000:65536\n`
    const result = isRoot ? await runAsPlainUser(folder, ids) : await runDirectly(folder)
    assert.is(result.code, undefined, result.message)
    const [init, user, written, name, link] = (result.output ?? '').split('\n')
    assert.equal([init, user, written], ['0', '2102', 'written'])
    assert.match(name ?? '', /^10\.96\.0\.1 kubernetes\.default\.svc\.cluster\.local/)
    assert.match(link ?? '', /10\.244\.0\.\d+\/32/)
    assert.equal(machineState(), before)
    assert.equal(processesWith(folder), [])
    assert.not.ok(existsSync(join(folder, 'home', 'state')))
  }))

if (isRoot) {
  test('says what to do when the user has no subordinate ids', () =>
    inFolder(async (folder) => {
      const { code, next = [] } = await runAsPlainUser(folder, '')
      assert.is(code, 'MESH_LOCAL_NAMESPACES')
      assert.ok(next.some((line) => line.includes('usermod --add-subuids')))
    }))
}

test.run()
