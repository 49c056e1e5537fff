/** Is told when a value that it read may have changed. */
export interface Observer {
  /** Remember that this topic was read, so that it can be left again. */
  depend(topic: Topic): void
  /** Something read before may have changed. Cheap; nothing is computed here. */
  invalidate(): void
}

/** One thing that can change, and who has read it. */
export class Topic {
  readonly #observers = new Set<Observer>()
  readonly #onIdle: (() => void) | undefined

  /** @param onIdle called when the last observer leaves */
  constructor(onIdle?: () => void) {
    this.#onIdle = onIdle
  }

  /** Joins the observer to this topic. */
  observe(observer: Observer): void {
    this.#observers.add(observer)
    observer.depend(this)
  }

  /** Also frees what nobody has read yet. */
  leave(observer: Observer): void {
    this.#observers.delete(observer)
    if (this.#observers.size === 0) this.#onIdle?.()
  }

  changed(): void {
    for (const observer of this.#observers) observer.invalidate()
  }
}

/**
 * A value computed from tables and other computed values. It notes what it reads, is computed again only when some
 * of that changed and only when somebody asks, and lets go of everything when its last reader leaves.
 */
export class Computed<T> implements Observer {
  readonly #compute: (observer: Observer, former: T | undefined) => T
  readonly #same: (left: T, right: T) => boolean
  readonly #topic: Topic
  #dependencies = new Set<Topic>()
  #value: { is: T } | undefined
  #isStale = true

  /**
   * @param compute reads through the observer that it is given; the former value is there to take unchanged parts from
   * @param options.same when it says so, the earlier value is kept, so that readers can compare by identity
   * @param options.onIdle called when the last reader leaves
   */
  constructor(
    compute: (observer: Observer, former: T | undefined) => T,
    options: { same?: (left: T, right: T) => boolean; onIdle?: () => void } = {},
  ) {
    this.#compute = compute
    this.#same = options.same ?? Object.is
    this.#topic = new Topic(() => {
      this.#release()
      options.onIdle?.()
    })
  }

  /** The value of now, for a reader who wants to know of changes. */
  read(observer: Observer): T {
    this.#topic.observe(observer)
    if (this.#isStale || this.#value === undefined) this.#recompute()
    return (this.#value as unknown as { is: T }).is
  }

  leave(observer: Observer): void {
    this.#topic.leave(observer)
  }

  depend(topic: Topic): void {
    this.#dependencies.add(topic)
  }

  invalidate(): void {
    if (this.#isStale) return
    this.#isStale = true
    this.#topic.changed()
  }

  #recompute(): void {
    const former = this.#dependencies
    this.#dependencies = new Set()
    try {
      const value = this.#compute(this, this.#value?.is)
      if (this.#value === undefined || !this.#same(this.#value.is, value)) this.#value = { is: value }
      this.#isStale = false
    } finally {
      // Left only now: what is read again must not be let go in between.
      for (const topic of former) if (!this.#dependencies.has(topic)) topic.leave(this)
    }
  }

  #release(): void {
    for (const topic of this.#dependencies) topic.leave(this)
    this.#dependencies = new Set()
    this.#value = undefined
    this.#isStale = true
  }
}

/** Computed values by key, shared by all who ask for the same and forgotten when nobody does. */
export class ComputedMap<K, T> {
  readonly #entries = new Map<string, Computed<T>>()
  readonly #compute: (key: K, observer: Observer, former: T | undefined) => T
  readonly #same: ((left: T, right: T) => boolean) | undefined

  constructor(
    compute: (key: K, observer: Observer, former: T | undefined) => T,
    same?: (left: T, right: T) => boolean,
  ) {
    this.#compute = compute
    this.#same = same
  }

  /** @param key plain data; two keys are one when their JSON is */
  of(key: K): Computed<T> {
    const id = JSON.stringify(key)
    const known = this.#entries.get(id)
    if (known !== undefined) return known
    const computed = new Computed<T>((observer, former) => this.#compute(key, observer, former), {
      ...(this.#same === undefined ? {} : { same: this.#same }),
      onIdle: () => this.#entries.delete(id),
    })
    this.#entries.set(id, computed)
    return computed
  }

  /** How many are in use. */
  get size(): number {
    return this.#entries.size
  }
}

/** Wakes sleepers together, after everything that arrived in the same turn of the event loop was taken in. */
export class Wakeups {
  #sleepers = new Set<() => void>()
  #isScheduled = false

  add(sleeper: () => void): void {
    this.#sleepers.add(sleeper)
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      const awakened = this.#sleepers
      this.#sleepers = new Set()
      for (const wake of awakened) wake()
    })
  }
}

/**
 * The newest value, again and again. A reader who is slow misses what lay between and never holds back another; what
 * is kept for it is one value, whatever happens meanwhile.
 *
 * Ends when the signal aborts.
 */
export async function* latest<T>(
  computed: Computed<T>,
  wakeups: Wakeups,
  signal: AbortSignal,
): AsyncGenerator<T> {
  let wake: (() => void) | undefined
  let isNews = true
  const rouse = () => wake?.()
  const subscriber: Observer = {
    depend: () => {},
    invalidate: () => {
      isNews = true
      if (wake !== undefined) wakeups.add(rouse)
    },
  }
  signal.addEventListener('abort', rouse, { once: true })
  try {
    let last: { is: T } | undefined
    while (!signal.aborted) {
      if (isNews) {
        isNews = false
        const value = computed.read(subscriber)
        if (last === undefined || last.is !== value) {
          last = { is: value }
          yield value
        }
        continue
      }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      wake = undefined
    }
  } finally {
    computed.leave(subscriber)
    signal.removeEventListener('abort', rouse)
  }
}
