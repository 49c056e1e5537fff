import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { execute } from './cluster.ts'

const test = suite('demo')

test('npm run demo -- --assert keeps every claim', async () => {
  const finished = await execute('npm', ['run', 'demo', '--silent', '--', '--assert'], {
    deadlineMs: 400_000,
  })
  assert.is(finished.code, 0, `${finished.stdout}\n${finished.stderr}`)
})

test.run()
