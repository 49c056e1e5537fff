import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  builtinImages,
  imageRepository,
  parseImageFlag,
  readImages,
  writeImages,
} from '../../../src/runtime/local/images.ts'
import { packageRoot, programPaths, statePaths } from '../../../src/runtime/local/paths.ts'
import { MeshError } from '../../../src/runtime/shared/errors.ts'

const test = suite('local/daemon/images')

const codeOf = (work: () => unknown) => {
  try {
    return work()
  } catch (error) {
    return error instanceof MeshError ? error.code : error
  }
}

test('takes tag and digest from an image name, but no port', () => {
  assert.is(imageRepository('a/b:1'), 'a/b')
  assert.is(imageRepository('host:5000/a/b'), 'host:5000/a/b')
  assert.is(imageRepository('host:5000/a/b:1@sha256:ab'), 'host:5000/a/b')
  assert.is(imageRepository('a'), 'a')
})

test('reads a command as a shell would', () => {
  assert.equal(parseImageFlag('web:2=/bin/x a "b c" \'d "e\' f\\ g "h\\"i" j"k"l'), [
    'web',
    { argv: ['/bin/x', 'a', 'b c', 'd "e', 'f g', 'h"i', 'jkl'] },
  ])
  assert.equal(parseImageFlag('web=env A=b')[1].argv, ['env', 'A=b'])
})

test('refuses what names no image, no command or leaves a quote open', () => {
  for (const flag of ['', 'web', 'web=', '=x', 'web= ', 'web="a', "web='a"]) {
    assert.is(
      codeOf(() => parseImageFlag(flag)),
      'MESH_LOCAL_IMAGE',
      flag,
    )
  }
})

test('gives back any words that were quoted', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1 }), (words) => {
      const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
      assert.equal(parseImageFlag(`web=${quoted}`)[1].argv, words)
    }),
  )
})

test('writes a table that it reads, and refuses one that is none', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-images-'))
  const file = join(folder, 'images.json')
  try {
    const table = { web: { argv: ['/bin/x'], env: { A: 'b' } } }
    writeImages(file, table)
    assert.equal(readImages(file), table)
    for (const text of ['', '[]', '{"web": {}}', '{"web": {"argv": [1]}}']) {
      writeFileSync(file, text)
      assert.is(
        codeOf(() => readImages(file)),
        'MESH_LOCAL_IMAGES_FILE',
        text,
      )
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('finds the programs of this package, another proxy if told so', () => {
  const root = packageRoot()
  const images = builtinImages(
    programPaths(root, () => undefined),
    '/node',
  )
  assert.equal(images['localhost/mesh/controller']?.argv, ['/node', join(root, 'dist/controller.js')])
  assert.match(images['localhost/mesh/proxy']?.argv[0] ?? '', /target\/(release|ci)\/linkerd-proxy$/)
  const other = programPaths(root, (name) => (name === 'MESH_PROXY_BINARY' ? '/x/proxy' : undefined))
  assert.is(other.proxy, '/x/proxy')
})

test('keeps state where it was told to, and refuses names that are no names', () => {
  const folderOf = (env: Record<string, string>) => statePaths('a', (name) => env[name]).folder
  assert.is(folderOf({ MESH_HOME: '/m', XDG_STATE_HOME: '/x' }), '/m/local/a')
  assert.is(folderOf({ XDG_STATE_HOME: '/x' }), '/x/mesh/local/a')
  for (const name of ['', 'A', '../x', 'a/b', '-a', 'a'.repeat(41)]) {
    assert.is(
      codeOf(() => statePaths(name, () => undefined)),
      'MESH_LOCAL_NAME',
      name,
    )
  }
})

test.run()
