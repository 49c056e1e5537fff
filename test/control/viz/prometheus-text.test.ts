import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parsePrometheusText, parseSampleKey } from '../../../src/runtime/control/viz/prometheus-text.ts'

const test = suite('control/viz/prometheus-text')

function parse(text: string, options: { accepts?: (name: string) => boolean; maxSamples?: number } = {}) {
  const samples: [string, number][] = []
  const outcome = parsePrometheusText(text, {
    accepts: options.accepts ?? (() => true),
    maxSamples: options.maxSamples ?? 1_000,
    onSample: (key, value) => samples.push([key, value]),
  })
  return { samples, outcome }
}

test('reads samples with and without labels, time stamps and exemplars', () => {
  const text = [
    '# HELP a_total help with } and "',
    '# TYPE a_total counter',
    'a_total 1',
    'a_total{x="1"} 2.5 1700000000000',
    '  b {x="1", y="a b"}   1e3',
    'c_bucket{le="+Inf"} 4 # {trace="x"} 0.5 1700000000.0',
    'd NaN',
    'e -Inf\r',
    '# EOF',
  ].join('\n')
  const { samples, outcome } = parse(text)
  assert.equal(samples.slice(0, 4), [
    ['a_total', 1],
    ['a_total{x="1"}', 2.5],
    ['b {x="1", y="a b"}', 1_000],
    ['c_bucket{le="+Inf"}', 4],
  ])
  assert.ok(Number.isNaN(samples[4]?.[1]))
  assert.equal(samples[5], ['e', -Infinity])
  assert.equal(outcome, { samples: 6, malformed: 0, overflow: 0 })
})

test('counts lines that cannot be read and reads the others', () => {
  const { samples, outcome } = parse('good 1\nbad{x="1\nbad{} \n{x="1"} 3\nbad x\nbad1\nalso_good 2\n')
  assert.equal(samples, [
    ['good', 1],
    ['also_good', 2],
  ])
  assert.is(outcome.malformed, 5)
})

test('a brace inside a quoted value does not end the labels', () => {
  const { samples } = parse(String.raw`a{x="}\"{",y="\\"} 7`)
  assert.equal(samples, [[String.raw`a{x="}\"{",y="\\"}`, 7]])
})

test('passes over names that are not wanted, and counts samples beyond the limit', () => {
  const { samples, outcome } = parse('a 1\nb{bad 2\nc 3\nc 4\n', {
    accepts: (name) => name !== 'b',
    maxSamples: 2,
  })
  assert.equal(samples, [
    ['a', 1],
    ['c', 3],
  ])
  assert.equal(outcome, { samples: 2, malformed: 0, overflow: 1 })
})

test('a line that is longer than any real one is refused', () => {
  const { outcome } = parse(`a{x="${'y'.repeat(10_000)}"} 1\nb 2`)
  assert.equal(outcome, { samples: 1, malformed: 1, overflow: 0 })
})

test('splits the labels of a key', () => {
  const parsed = parseSampleKey(String.raw`a_total{ b = "c,d" , e="x\"\\\n\q", }`)
  assert.is(parsed?.name, 'a_total')
  assert.equal({ ...parsed?.labels }, { b: 'c,d', e: 'x"\\\nq' })
  assert.equal({ ...parseSampleKey('a')?.labels }, {})
  assert.equal({ ...parseSampleKey('a{}')?.labels }, {})
  assert.is(parseSampleKey('a{b=c}'), undefined)
  assert.is(parseSampleKey('a{b="c" d="e"}'), undefined)
})

test('what is written is read back, whatever the values hold', () => {
  const escapeValue = (value: string) =>
    value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
  const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/)
  const value = fc.string({ maxLength: 20, unit: 'grapheme' })
  fc.assert(
    fc.property(name, fc.dictionary(name, value), fc.double({ noNaN: true }), (metric, labels, number) => {
      const entries = Object.entries(labels)
      const inner = entries.map(([key, text]) => `${key}="${escapeValue(text)}"`).join(',')
      const { samples } = parse(`${metric}{${inner}} ${number}\n`)
      const [key = '', parsed] = samples[0] ?? []
      assert.is(parsed === number || (parsed === 0 && number === 0), true)
      const split = parseSampleKey(key)
      assert.is(split?.name, metric)
      assert.equal(Object.entries(split?.labels ?? {}).sort(), entries.sort())
    }),
  )
})

test('never throws', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      const { samples } = parse(text)
      for (const [key] of samples) parseSampleKey(key)
    }),
  )
})

test.run()
