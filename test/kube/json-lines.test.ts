import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { splitLines } from '../../src/runtime/kube/json-lines.ts'

const test = suite('kube/json-lines')

async function linesOf(chunks: Uint8Array[], maxLineLength?: number): Promise<string[]> {
  const lines: string[] = []
  const stream = (async function* () {
    yield* chunks
  })()
  for await (const line of splitLines(stream, maxLineLength)) lines.push(line)
  return lines
}

test('lines come out whole, wherever the bytes were cut', async () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => `>${text.replace(/\n/g, ' ')}`)
  await fc.assert(
    fc.asyncProperty(
      fc.array(line),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      async (lines, sizes) => {
        const bytes = Buffer.from(lines.join('\n'))
        const chunks: Buffer[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1
          chunks.push(bytes.subarray(at, at + size))
          at += size
        }
        assert.equal(await linesOf(chunks), lines)
      },
    ),
  )
})

test('empty lines are dropped, and the last line needs no newline', async () => {
  assert.equal(await linesOf([Buffer.from('\na\n\n \nb')]), ['a', 'b'])
})

test('a line without end is given up', async () => {
  const error = await linesOf([Buffer.from('aaa'), Buffer.from('aaa')], 5).catch((thrown: Error) => thrown)
  assert.instance(error, Error)
})

test.run()
