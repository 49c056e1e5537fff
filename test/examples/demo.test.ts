import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ClaimBook, demand } from '../../examples/demo/claims.ts'
import { setUpCommands } from '../../examples/demo/set-up.ts'
import { CommandError, createShell } from '../../examples/demo/shell.ts'
import { until } from '../../examples/demo/world.ts'

const test = suite('examples/demo')

test('a claim that does not hold is told with what speaks against it, and counted', async () => {
  const lines: string[] = []
  const book = new ClaimBook((line) => lines.push(line), false)
  const { signal } = new AbortController()
  await book.check({ title: 'one is one', prove: async () => '1' }, signal)
  const prove = async () => {
    demand(Number('1') > 1, 'it is 1')
    return ''
  }
  await book.check({ title: 'one is more', prove }, signal)
  assert.equal(lines, ['  ✔ one is one: 1', '  ✘ one is more: it is 1'])
  assert.equal([book.passed, book.failed], [1, ['one is more']])
})

test('a demo that is stopped says nothing of the claim', async () => {
  const lines: string[] = []
  const book = new ClaimBook((line) => lines.push(line), false)
  const stopping = new AbortController()
  const prove = () => {
    stopping.abort()
    return Promise.reject(new Error('stopped'))
  }
  let thrown = ''
  await book.check({ title: 'x', prove }, stopping.signal).catch((error: Error) => {
    thrown = error.message
  })
  assert.equal([thrown, lines, book.failed], ['stopped', [], []])
})

test('the set-up is what the documentation tells users to type', () => {
  const commands = setUpCommands('demo')
  assert.equal(commands.slice(1, 5), [
    'mesh check --pre',
    'mesh install --crds | kubectl apply -f -',
    'mesh install | kubectl apply -f -',
    'mesh check',
  ])
})

test('a shell fails with the first command of a pipeline that fails, and says what it printed', async () => {
  const shell = createShell({ DEMO_WORD: 'word' }, new AbortController().signal)
  assert.is((await shell.run('echo "$DEMO_WORD" | cat')).stdout, 'word\n')
  let failure: unknown
  await shell.run('echo said; echo no >&2; false | cat').catch((error: unknown) => {
    failure = error
  })
  assert.instance(failure, CommandError)
  assert.match(String(failure), /exit code 1\nsaid\nno$/)
})

test('a shell that is stopped ends what it runs', async () => {
  const stopping = new AbortController()
  const shell = createShell({}, stopping.signal)
  const running = shell.run('sleep 60 | sleep 60').then(
    () => 'ended',
    () => 'stopped',
  )
  stopping.abort(new Error('enough'))
  assert.is(await running, 'stopped')
})

test('waiting ends with the last failure when the time is over', async () => {
  const { signal } = new AbortController()
  let message = ''
  const ask = () => Promise.reject(new Error('not yet'))
  await until({ signal }, 'the thing', ask, 150).catch((error: Error) => {
    message = error.message
  })
  assert.is(message, 'the thing: not within 0.15 s (not yet)')
})

test.run()
