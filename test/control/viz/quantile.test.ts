import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Bucket, histogramQuantile } from '../../../src/runtime/control/viz/quantile.ts'

const test = suite('control/viz/quantile')

function buckets(...pairs: [number, number][]): Bucket[] {
  return pairs.map(([upperBound, count]) => ({ upperBound, count }))
}

test('interpolates within a bucket', () => {
  const histogram = buckets([1, 0], [2, 10], [4, 10], [Infinity, 10])
  assert.is(histogramQuantile(0.5, histogram), 1.5)
  assert.is(histogramQuantile(1, histogram), 2)
})

test('the first bucket begins at zero', () => {
  assert.is(histogramQuantile(0.5, buckets([10, 4], [Infinity, 4])), 5)
})

test('what is beyond the last finite bound counts as that bound', () => {
  assert.is(histogramQuantile(0.99, buckets([10, 1], [50, 2], [Infinity, 100])), 50)
})

test('has no answer without observations or without the infinite bucket', () => {
  assert.is(histogramQuantile(0.5, []), undefined)
  assert.is(histogramQuantile(0.5, buckets([1, 0], [Infinity, 0])), undefined)
  assert.is(histogramQuantile(0.5, buckets([1, 3])), undefined)
  assert.is(histogramQuantile(0.5, buckets([Infinity, 3])), undefined)
})

test('takes buckets in any order, and counts that fall as level', () => {
  const histogram = buckets([Infinity, 10], [4, 8], [2, 9], [1, 0])
  assert.is(histogramQuantile(0.45, histogram), 1.5)
})

test('the bucket of the answer holds the observation of that rank', () => {
  const bounds = [1, 5, 10, 50, 100]
  const values = fc.array(fc.double({ min: 0.01, max: 99, noNaN: true }), { minLength: 1, maxLength: 200 })
  fc.assert(
    fc.property(values, fc.double({ min: 0.01, max: 1, noNaN: true }), (observed, share) => {
      const histogram = [...bounds, Infinity].map((upperBound) => ({
        upperBound,
        count: observed.filter((value) => value <= upperBound).length,
      }))
      const answer = histogramQuantile(share, histogram) ?? Number.NaN
      const sorted = observed.toSorted((a, b) => a - b)
      const exact = sorted[Math.ceil(share * sorted.length - 1e-9) - 1] ?? Number.NaN
      const upper = bounds.find((bound) => exact <= bound) ?? Infinity
      const lower = bounds[bounds.indexOf(upper) - 1] ?? 0
      assert.ok(answer >= lower - 1e-9 && answer <= upper + 1e-9, `${answer} is not in [${lower}, ${upper}]`)
    }),
  )
})

test.run()
