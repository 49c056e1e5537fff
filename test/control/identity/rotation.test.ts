import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type AnchorFact,
  firstStatus,
  planRotation,
  type RotationAct,
  type RotationFacts,
  revisionOf,
} from '../../../src/runtime/control/identity/rotation.ts'
import type { IdentityStatus } from '../../../src/runtime/shared/identity-status.ts'

const test = suite('control/identity/rotation')

const dayMs = 86_400_000
const startMs = Date.UTC(2026, 0, 15)
const settings = { graceMs: 30 * dayMs, settleMs: 20_000, leafMs: dayMs }

const anchor = (hash: string, lifeMs = 3650 * dayMs): AnchorFact => ({
  hash,
  notBeforeMs: startMs,
  notAfterMs: startMs + lifeMs,
})

function factsOf(changes: Partial<RotationFacts>): RotationFacts {
  const old = anchor('old')
  return {
    nowMs: startMs,
    bundle: [old],
    issuerAnchor: 'old',
    ownAnchor: old,
    nextAnchor: undefined,
    request: undefined,
    proxies: [],
    replicaAnchors: ['old'],
    ...changes,
  }
}

function statusOf(changes: Partial<IdentityStatus>): IdentityStatus {
  return { ...firstStatus(startMs), leavesUntil: new Date(startMs + 2 * dayMs).toISOString(), ...changes }
}

const at = (ms: number) => new Date(ms).toISOString()
const distributing = statusOf({
  stage: 'distribute',
  oldAnchor: 'old',
  newAnchor: 'new',
  bundleSince: at(startMs),
})
const both = { nextAnchor: anchor('new'), bundle: [anchor('old'), anchor('new')], nowMs: startMs + 60_000 }
const late = { name: 'shop/web', createdMs: startMs, hasBundle: false }

/** The stage that follows, or the act that is wanted. */
function next(status: IdentityStatus, facts: Partial<RotationFacts>): string {
  const plan = planRotation(status, factsOf(facts), settings)
  return 'act' in plan ? plan.act : plan.status.stage
}

const table: [string, IdentityStatus, Partial<RotationFacts>, string][] = [
  ['nothing is asked for', statusOf({}), {}, 'idle'],
  ['a request starts', statusOf({}), { request: 'a' }, 'distribute'],
  ['an answered request does not', statusOf({ answered: 'a' }), { request: 'a' }, 'idle'],
  ['two thirds of its life begin', statusOf({}), { nowMs: startMs + 2500 * dayMs }, 'distribute'],
  ['not before', statusOf({}), { nowMs: startMs + 2400 * dayMs }, 'idle'],
  ['kept elsewhere', statusOf({}), { nowMs: startMs + 3000 * dayMs, ownAnchor: undefined }, 'idle'],
  ['the next anchor is made', distributing, {}, 'make-next-anchor'],
  ['and distributed', distributing, { ...both, bundle: [anchor('old')] }, 'extend-bundle'],
  ['nobody to wait for', distributing, both, 'issue'],
  ['but for admissions under way', distributing, { ...both, nowMs: startMs + 10_000 }, 'distribute'],
  ['one is late', distributing, { ...both, proxies: [late] }, 'distribute'],
  ['its grace is over', distributing, { ...both, proxies: [late], nowMs: startMs + 31 * dayMs }, 'issue'],
  [
    'a young pod has a grace of its own',
    distributing,
    {
      ...both,
      proxies: [{ ...late, createdMs: startMs + 30 * dayMs }],
      nowMs: startMs + 31 * dayMs,
    },
    'distribute',
  ],
  [
    'the old anchor has ended: nobody can be reached',
    distributing,
    { ...both, bundle: [anchor('old', 1000), anchor('new')], proxies: [late] },
    'issue',
  ],
  ['then it issues', { ...distributing, stage: 'issue' }, both, 'issue-from-next'],
  [
    'keeps the key',
    { ...distributing, stage: 'issue' },
    { ...both, issuerAnchor: 'new' },
    'keep-next-as-own',
  ],
  [
    'waits for a replica',
    { ...distributing, stage: 'issue' },
    { ...both, issuerAnchor: 'new', ownAnchor: anchor('new'), replicaAnchors: ['new', 'old'] },
    'issue',
  ],
  [
    'all replicas sign with the new',
    { ...distributing, stage: 'issue' },
    { ...both, issuerAnchor: 'new', ownAnchor: anchor('new'), replicaAnchors: ['new'] },
    'retire',
  ],
  [
    'a next anchor that was lost before its use is distributed anew',
    { ...distributing, stage: 'issue' },
    { ...both, nextAnchor: anchor('other') },
    'distribute',
  ],
  [
    'leaves are alive',
    { ...distributing, stage: 'retire', retireAt: at(startMs + dayMs) },
    { ...both, issuerAnchor: 'new' },
    'retire',
  ],
  [
    'the last has ended',
    { ...distributing, stage: 'retire', retireAt: at(startMs + dayMs) },
    { ...both, issuerAnchor: 'new', nowMs: startMs + dayMs },
    'remove-old-anchor',
  ],
  [
    'an issuer that is still the old one keeps its anchor',
    { ...distributing, stage: 'retire', retireAt: at(startMs) },
    { bundle: both.bundle },
    'idle',
  ],
]

for (const [name, status, facts, expected] of table) {
  test(`${status.stage}: ${name}`, () => {
    assert.is(next(status, facts), expected)
  })
}

test('a request that cannot be granted is answered with the reason', () => {
  const plan = planRotation(statusOf({}), factsOf({ request: 'a', ownAnchor: undefined }), settings)
  assert.ok('status' in plan && plan.status.answered === 'a')
  assert.match('status' in plan ? (plan.status.refusal ?? '') : '', 'not in the cluster')
})

test('the bound of leaves never shrinks when their life is set shorter', () => {
  const bound = statusOf({ leavesUntil: at(startMs + 9 * dayMs) })
  const plan = planRotation(bound, factsOf({}), settings)
  assert.is('status' in plan && plan.status.leavesUntil, at(startMs + 9 * dayMs))
})

test('a revision names the content, not its order', () => {
  assert.is(revisionOf(['a', 'b']), revisionOf(['b', 'a', 'a']))
  assert.not(revisionOf(['a', 'b']) === revisionOf(['a']))
})

/** A mesh in memory: proxies that get bundles late, replicas that get issuers late, leaves with their life. */
class World {
  nowMs = startMs
  status: IdentityStatus = firstStatus(startMs)
  bundle: AnchorFact[] = [anchor('a0')]
  issuer = 'a0'
  own: AnchorFact = anchor('a0')
  next: AnchorFact | undefined
  request: string | undefined
  replicas = ['a0', 'a0']
  proxies = [0, 1, 2].map((id) => this.newProxy(id))
  made = 0
  leaves: { anchor: string; untilMs: number }[] = []

  newProxy(id: number) {
    return { name: `p${id}`, createdMs: this.nowMs, trusts: this.bundle.map(({ hash }) => hash) }
  }

  /** One step of the leader; its act is done, or not when it stops before. */
  step(isStopped: boolean): void {
    const revision = revisionOf(this.bundle.map(({ hash }) => hash))
    const plan = planRotation(
      this.status,
      {
        nowMs: this.nowMs,
        bundle: this.bundle,
        issuerAnchor: this.issuer,
        ownAnchor: this.own,
        nextAnchor: this.next,
        request: this.request,
        proxies: this.proxies.map((proxy) => ({
          ...proxy,
          hasBundle: revisionOf(proxy.trusts) === revision,
        })),
        replicaAnchors: this.replicas,
      },
      { ...settings, graceMs: Number.MAX_SAFE_INTEGER },
    )
    if (isStopped) return
    if ('act' in plan) this.perform(plan.act)
    else this.status = plan.status
  }

  perform(act: RotationAct): void {
    if (act === 'make-next-anchor') {
      this.made += 1
      this.next = { ...anchor(`a${this.made}`), notAfterMs: this.nowMs + 3650 * dayMs }
    } else if (act === 'extend-bundle' && this.next !== undefined) this.bundle = [...this.bundle, this.next]
    else if (act === 'issue-from-next') this.issuer = (this.next ?? this.own).hash
    else if (act === 'keep-next-as-own' && this.next !== undefined) this.own = this.next
    else if (act === 'remove-old-anchor') {
      this.bundle = this.bundle.filter(({ hash }) => hash !== this.status.oldAnchor)
    } else if (act === 'remove-next-anchor') this.next = undefined
  }

  issueLeaf(replica: number): void {
    const issuer = this.replicas[replica % this.replicas.length] ?? ''
    for (const { trusts } of this.proxies) {
      assert.ok(trusts.includes(issuer), `a leaf under ${issuer} for proxies that trust ${trusts.join()}`)
    }
    this.leaves.push({ anchor: issuer, untilMs: this.nowMs + settings.leafMs })
  }

  check(): void {
    const alive = this.leaves.filter(({ untilMs }) => untilMs > this.nowMs)
    for (const leaf of alive) {
      assert.ok(
        this.bundle.some(({ hash }) => hash === leaf.anchor),
        `${leaf.anchor} went while a leaf under it was valid`,
      )
    }
  }
}

const event = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('step' as const), isStopped: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('learn' as const), who: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('leaf' as const), who: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reload' as const), who: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.nat(dayMs) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pod' as const), who: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('ask' as const), id: fc.string({ minLength: 1 }) }) },
)

test('no leaf that a live proxy does not trust, no anchor gone while a leaf needs it, and it comes to an end', () => {
  let rotations = 0
  fc.assert(
    fc.property(fc.array(event, { maxLength: 150 }), (events) => {
      const world = new World()
      for (const happened of events) {
        if (happened.kind === 'step') world.step(happened.isStopped)
        else if (happened.kind === 'time') world.nowMs += happened.ms
        else if (happened.kind === 'ask') world.request = happened.id
        else if (happened.kind === 'leaf') world.issueLeaf(happened.who)
        else if (happened.kind === 'reload') {
          world.replicas = world.replicas.map((known, index) =>
            index === happened.who % 2 ? world.issuer : known,
          )
        } else {
          const index = happened.who % world.proxies.length
          const fresh = world.newProxy(happened.who)
          world.proxies = world.proxies.map((proxy, at) => {
            if (at !== index) return proxy
            return happened.kind === 'pod' ? fresh : { ...proxy, trusts: fresh.trusts }
          })
        }
        world.check()
      }
      // When everybody keeps up, what was begun ends.
      for (let turn = 0; turn < 60; turn++) {
        world.proxies = world.proxies.map((_, id) => world.newProxy(id))
        world.replicas = world.replicas.map(() => world.issuer)
        world.step(false)
        world.check()
        world.nowMs += dayMs / 4
      }
      assert.is(world.status.stage, 'idle')
      assert.equal(
        world.bundle.map(({ hash }) => hash),
        [world.issuer],
      )
      assert.is(world.own.hash, world.issuer)
      if (world.made > 0) rotations += 1
    }),
    { numRuns: 300 },
  )
  assert.ok(rotations > 20, `${rotations} runs had a rotation`)
})

test.run()
