import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ClusterView } from '../../src/checks/cluster-view.ts'
import { isHealthy, runChecks } from '../../src/checks/run.ts'
import { type Category, type Check, CheckFailure, CheckSkip } from '../../src/checks/types.ts'
import { parseWait } from '../../src/runtime/actions/check.ts'
import { jsonReport, textReport, trailer } from '../../src/runtime/actions/check-report.ts'
import { FakeClock, settle } from '../support/fake-clock.ts'
import { FakeKube } from '../support/fake-kube.ts'

const test = suite('checks/run')

function contextAt(clock: FakeClock) {
  return {
    cluster: new ClusterView(() => new FakeKube()),
    controlPlaneNamespace: 'linkerd',
    cliVersion: '1',
    clock,
  }
}

function check(code: Check['code'], run: Check['run'], rest: Partial<Check> = {}): Check {
  return { code, description: code, run, ...rest }
}

const holds = async () => undefined
const fails = (reason: string) => async () => {
  throw new CheckFailure(reason)
}

test('a fatal failure ends the run, any other does not', async () => {
  const categories: Category[] = [
    {
      id: 'a',
      checks: [check('MESH_CHECK_A', fails('no')), check('MESH_CHECK_B', fails('no'), { isFatal: true })],
    },
    { id: 'b', checks: [check('MESH_CHECK_C', holds)] },
  ]
  const results = await runChecks(categories, contextAt(new FakeClock()), { waitMs: 0 })
  assert.equal(
    results.map(({ check: { code }, outcome }) => `${code} ${outcome}`),
    ['MESH_CHECK_A error', 'MESH_CHECK_B error'],
  )
  assert.not.ok(isHealthy(results))
})

test('a fatal check that only warns ends nothing', async () => {
  const categories: Category[] = [
    {
      id: 'a',
      checks: [
        check('MESH_CHECK_A', fails('no'), { isFatal: true, isWarning: true }),
        check('MESH_CHECK_B', holds),
      ],
    },
  ]
  const results = await runChecks(categories, contextAt(new FakeClock()), { waitMs: 0 })
  assert.is(results.length, 2)
  assert.ok(isHealthy(results))
})

test('what may yet hold is tried again until it does, and is read anew each time', async () => {
  const clock = new FakeClock()
  const context = contextAt(clock)
  let attempts = 0
  const waiting: string[] = []
  const later = check(
    'MESH_CHECK_A',
    async () => {
      attempts += 1
      if (attempts < 4) throw new CheckFailure(`attempt ${attempts}`)
    },
    { isRetried: true },
  )
  const running = runChecks([{ id: 'a', checks: [later] }], context, {
    waitMs: 60_000,
    observer: { onWaiting: (_, reason) => waiting.push(reason) },
  })
  await clock.advance(10_000)
  const [result] = await running
  assert.is(result?.outcome, 'success')
  assert.equal(waiting, ['attempt 1', 'attempt 2', 'attempt 3'])
})

test('waiting ends at the deadline with the last reason', async () => {
  const clock = new FakeClock()
  const running = runChecks(
    [{ id: 'a', checks: [check('MESH_CHECK_A', fails('still no'), { isRetried: true })] }],
    contextAt(clock),
    { waitMs: 5_000 },
  )
  await clock.advance(5_001)
  const [result] = await running
  assert.is(result?.outcome, 'error')
  assert.is(result?.reason, 'still no')
})

test('a check that never answers fails after its time', async () => {
  const clock = new FakeClock()
  const running = runChecks(
    [{ id: 'a', checks: [check('MESH_CHECK_A', () => new Promise(() => undefined))] }],
    contextAt(clock),
    { waitMs: 0 },
  )
  await settle()
  await clock.advance(30_001)
  assert.match((await running)[0]?.reason ?? '', /no answer within 30 s/)
})

test('the clock is left alone when checks have ended', async () => {
  const clock = new FakeClock()
  await runChecks([{ id: 'a', checks: [check('MESH_CHECK_A', holds)] }], contextAt(clock), { waitMs: 0 })
  assert.is(clock.sleeperCount, 0)
})

async function reportOf(isShort: boolean): Promise<string> {
  const categories: Category[] = [
    {
      id: 'kubernetes-api',
      checks: [
        check('MESH_CHECK_A', holds, { description: 'can query' }),
        check('MESH_CHECK_B', fails('slow\nvery \u001b[31mslow'), {
          description: 'is quick',
          isWarning: true,
          fix: 'wait',
        }),
        check('MESH_CHECK_C', async () => {
          throw new CheckSkip('n/a')
        }),
      ],
    },
    { id: 'well', checks: [check('MESH_CHECK_D', holds, { description: 'is well' })] },
  ]
  let text = ''
  const sink = {
    write: (part: string) => {
      text += part
    },
    paint: (part: string) => part,
  }
  const results = await runChecks(categories, contextAt(new FakeClock()), {
    waitMs: 0,
    observer: textReport(sink, { isShort }),
  })
  return text + trailer(isHealthy(results), text !== '', sink)
}

test('the text is that of Linkerd, skipped checks print nothing, and escapes are harmless', async () => {
  assert.is(
    await reportOf(false),
    `kubernetes-api
--------------
√ can query
‼ is quick
    slow
    very \\x1b[31mslow
    see mesh explain MESH_CHECK_B for hints
    fix: wait

well
----
√ is well

Status check results are √
`,
  )
})

test('the short text leaves out what is well', async () => {
  const text = await reportOf(true)
  assert.match(text, /is quick/)
  assert.not.match(text, /can query|well\n/)
  assert.match(text, /Status check results are √\n$/)
})

test('the JSON has the keys of Linkerd', async () => {
  const results = await runChecks(
    [
      {
        id: 'a',
        checks: [
          check('MESH_CHECK_A', holds, { description: 'x', fix: 'y' }),
          check('MESH_CHECK_B', fails('why'), { description: 'z', fix: 'y' }),
        ],
      },
    ],
    contextAt(new FakeClock()),
    { waitMs: 0 },
  )
  assert.equal(jsonReport(results, false), {
    success: false,
    categories: [
      {
        categoryName: 'a',
        checks: [
          { description: 'x', code: 'MESH_CHECK_A', result: 'success' },
          {
            description: 'z',
            code: 'MESH_CHECK_B',
            hint: 'mesh explain MESH_CHECK_B',
            fix: 'y',
            error: 'why',
            result: 'error',
          },
        ],
      },
    ],
  })
})

test('durations of --wait', () => {
  assert.equal(
    ['0', '250ms', '90s', '5m', '1m30s', '1.5h'].map(parseWait),
    [0, 250, 90_000, 300_000, 90_000, 5_400_000],
  )
  for (const wrong of ['', '5', 'soon', '5 m', '-1s', '1m!']) {
    assert.throws(
      () => parseWait(wrong),
      (error: { code?: string }) => error.code === 'MESH_USAGE_INVALID_VALUE',
    )
  }
})

test.run()
