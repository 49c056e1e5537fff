import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { durationToWire } from '../../../src/runtime/control/policy/duration-wire.ts'
import { parseDuration, parseGatewayDuration } from '../../../src/runtime/control/policy/route/duration.ts'
import {
  readFailureAccrual,
  readLoadBias,
} from '../../../src/runtime/control/policy/route/failure-accrual.ts'
import { readSettings } from '../../../src/runtime/control/policy/route/settings.ts'
import { parseStatusRange } from '../../../src/runtime/control/policy/route/status-range.ts'

const test = suite('control/policy: annotations')

const durations: [string, number | undefined][] = [
  ['10s', 10_000],
  [' 250ms ', 250],
  ['1m', 60_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['0', 0],
  ['00', 0],
  ['0s', 0],
  ['10', undefined],
  ['1.5s', undefined],
  ['1m30s', undefined],
  ['10 s', undefined],
  ['-1s', undefined],
  ['s', undefined],
  ['', undefined],
  ['99999999999999999999d', undefined],
  ['1S', undefined],
]
for (const [text, expected] of durations) {
  test(`"${text}" is ${expected === undefined ? 'no duration' : `${expected} ms`}`, () => {
    assert.is(parseDuration(text), expected)
  })
}

const gatewayDurations: [string, number | undefined][] = [
  ['10s', 10_000],
  ['1h30m', 5_400_000],
  ['1m500ms', 60_500],
  ['0s', 0],
  ['10', undefined],
  ['1.5s', undefined],
  ['100000s', undefined],
  ['1h1m1s1ms1s', undefined],
  ['', undefined],
]
for (const [text, expected] of gatewayDurations) {
  test(`"${text}" is ${expected === undefined ? 'no duration of the Gateway API' : `${expected} ms there`}`, () => {
    assert.is(parseGatewayDuration(text), expected)
  })
}

test('a duration survives its wire form', () => {
  fc.assert(
    fc.property(fc.nat(), (durationMs) => {
      const { seconds, nanos } = durationToWire(durationMs)
      assert.is(Number(seconds) * 1000 + nanos / 1_000_000, durationMs)
    }),
  )
})

const statuses: [string, [number, number] | undefined][] = [
  ['503', [503, 503]],
  ['500-504', [500, 504]],
  ['5xx', [500, 599]],
  ['4XX', [400, 499]],
  ['gateway-error', [502, 504]],
  ['504-500', undefined],
  ['99', undefined],
  ['600', undefined],
  ['6xx', undefined],
  ['5x', undefined],
  ['-503', undefined],
  ['', undefined],
]
for (const [text, expected] of statuses) {
  test(`"${text}" is ${expected === undefined ? 'no status' : expected.join(' to ')}`, () => {
    const range = parseStatusRange(text)
    assert.equal(range && [range.start, range.end], expected)
  })
}

test('families are read apart: what is wrong with one leaves the others', () => {
  const { settings, problems } = readSettings({
    'retry.linkerd.io/http': '5xx, 429',
    'retry.linkerd.io/grpc': 'cancelled,teapot',
    'retry.linkerd.io/timeout': '100ms',
    'timeout.linkerd.io/request': '1 s',
    'timeout.linkerd.io/idle': '5s',
  })
  assert.equal(settings, {
    httpRetry: {
      limit: 1,
      statuses: [
        { start: 500, end: 599 },
        { start: 429, end: 429 },
      ],
      timeoutMs: 100,
    },
  })
  assert.equal(
    problems.map(({ family, annotation }) => `${family} ${annotation}`),
    ['timeouts timeout.linkerd.io/request', 'grpcRetry retry.linkerd.io/grpc'],
  )
})

test('a limit or a timeout alone makes a retry without conditions, and zeros count as unset', () => {
  assert.equal(readSettings({ 'retry.linkerd.io/limit': '3' }).settings.httpRetry, { limit: 3, statuses: [] })
  assert.equal(readSettings({ 'retry.linkerd.io/timeout': '1s' }).settings.grpcRetry, {
    limit: 1,
    statuses: [],
    timeoutMs: 1000,
  })
  const zeros = {
    'retry.linkerd.io/limit': '0',
    'retry.linkerd.io/timeout': '0',
    'timeout.linkerd.io/idle': '0s',
  }
  assert.equal(readSettings(zeros), { settings: {}, problems: [] })
  assert.equal(readSettings({}), { settings: {}, problems: [] })
})

for (const text of ['65536', '-1', '1.5', 'two', '']) {
  test(`"${text}" is no retry limit`, () => {
    assert.ok(readSettings({ 'retry.linkerd.io/limit': text }).problems.length > 0)
  })
}

const accrual = 'balancer.linkerd.io/failure-accrual'
const refusedAccruals: Record<string, string>[] = [
  { [accrual]: 'often' },
  { [accrual]: 'consecutive', [`${accrual}-consecutive-max-failures`]: '-1' },
  { [accrual]: 'consecutive', [`${accrual}-consecutive-min-penalty`]: '2m' },
  {
    [accrual]: 'consecutive',
    [`${accrual}-consecutive-max-penalty`]: '0',
    [`${accrual}-consecutive-min-penalty`]: '0',
  },
  { [accrual]: 'consecutive', [`${accrual}-consecutive-jitter-ratio`]: '101' },
  { [accrual]: 'unified', 'balancer.alpha.linkerd.io/failure-accrual-success-rate-threshold': '1.1' },
  { [accrual]: 'unified', 'balancer.alpha.linkerd.io/failure-accrual-success-rate-window': '9ms' },
  { [accrual]: 'unified', 'balancer.alpha.linkerd.io/failure-accrual-success-rate-min-requests': '1000001' },
  { [accrual]: 'consecutive', 'balancer.alpha.linkerd.io/failure-accrual-honor-retry-after': 'yes' },
]
for (const annotations of refusedAccruals) {
  test(`circuit breaking is off with ${JSON.stringify(annotations)}`, () => {
    const { accrual: read, problem } = readFailureAccrual(annotations)
    assert.is(read, undefined)
    assert.ok(problem)
  })
}

test('circuit breaking is off without its annotation', () => {
  assert.equal(readFailureAccrual({ [`${accrual}-consecutive-max-failures`]: '3' }), {})
})

test('load bias is off until it is asked for', () => {
  assert.equal(readLoadBias({}), {})
  assert.equal(readLoadBias({ 'balancer.alpha.linkerd.io/penalize-failures': 'T' }).bias, {
    penaltyMs: 5_000,
    maxRetryAfterMs: 300_000,
  })
  assert.ok(readLoadBias({ 'balancer.alpha.linkerd.io/penalize-failures': 'on' }).problem)
})

test.run()
