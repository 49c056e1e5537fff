import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { PodLogOptions } from '../../../src/runtime/local/apiserver/types.ts'
import { ContainerLog } from '../../../src/runtime/local/node/container-log.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'
import { until } from '../../support/until.ts'

const test = suite('local/node/container-log')
let folder: string
let clock: FakeClock
let log: ContainerLog
let stdout: PassThrough

test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'mesh-log-'))
  clock = new FakeClock(Date.UTC(2026, 0, 15))
  log = new ContainerLog(join(folder, 'c', '0.log'), clock)
  stdout = new PassThrough()
  log.attach('stdout', stdout)
})

test.after.each(() => {
  log.close()
  rmSync(folder, { recursive: true })
})

const all: PodLogOptions = {
  follow: false,
  previous: false,
  timestamps: false,
  signal: new AbortController().signal,
}

async function read(options: Partial<PodLogOptions> = {}): Promise<string> {
  let text = ''
  for await (const bytes of log.read({ ...all, ...options })) text += Buffer.from(bytes).toString()
  return text
}

test('gives back what was written, however it came', async () => {
  stdout.write('one\ntw')
  stdout.write('o\n\nunfinished')
  stdout.end()
  await until('all is written', async () => (await read()).endsWith('unfinished'))
  assert.is(await read(), 'one\ntwo\n\nunfinished')
})

test('gives the last lines, and as many bytes as asked for', async () => {
  stdout.write(`one\n${'x'.repeat(40_000)}\nthree\n`)
  await settle()
  assert.is(await read({ tailLines: 1 }), 'three\n')
  assert.is((await read({ tailLines: 2 })).length, 40_001 + 6)
  assert.is(await read({ tailLines: 0 }), '')
  assert.is(await read({ limitBytes: 5 }), 'one\nx')
})

test('gives times, and only what is newer than asked for', async () => {
  stdout.write('old\n')
  await settle()
  await clock.advance(60_000)
  stdout.write('new\n')
  await settle()
  assert.is(await read({ timestamps: true, tailLines: 1 }), '2026-01-15T00:01:00.000Z new\n')
  assert.is(await read({ sinceSeconds: 30 }), 'new\n')
  assert.is(await read({ sinceTime: '2026-01-15T00:00:30Z' }), 'new\n')
})

test('follows until the container ends or the reader goes', async () => {
  stdout.write('one\n')
  await settle()
  const followed = read({ follow: true })
  const leaving = new AbortController()
  const left = read({ follow: true, signal: leaving.signal })
  await settle()
  stdout.write('two\n')
  await settle()
  leaving.abort()
  assert.is(await left, 'one\ntwo\n')
  stdout.write('three\n')
  await settle()
  log.close()
  assert.is(await followed, 'one\ntwo\nthree\n')
})

test('keeps no more than two files, however much is written', async () => {
  const line = `${'x'.repeat(16_000)}\n`
  for (let written = 0; written < 35 * 1024 * 1024; written += line.length) {
    if (!stdout.write(line)) await settle()
  }
  stdout.write('last\n')
  await until('all is written', async () => (await read({ tailLines: 1 })) === 'last\n')
  const text = await read()
  assert.ok(text.length > 10 * 1024 * 1024 && text.length < 22 * 1024 * 1024)
  assert.equal(readdirSync(join(folder, 'c')).sort(), ['0.log', '0.log.old'])
  log.remove()
  assert.equal(readdirSync(join(folder, 'c')), [])
})

test.run()
