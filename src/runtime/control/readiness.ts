/** One thing that a controller needs before it can serve. */
export interface ReadyGuard {
  /** The thing is there. */
  ready(): void
  /** The thing is missing, again or still. */
  notReady(reason: string): void
}

/** Collects what a controller waits for; it is ready when nothing is missing. */
export class Readiness {
  readonly #missing = new Map<string, string>()

  /** Names a thing to wait for. It counts as missing from now on. */
  guard(name: string): ReadyGuard {
    this.#missing.set(name, 'starting')
    return {
      ready: () => this.#missing.delete(name),
      notReady: (reason) => this.#missing.set(name, reason),
    }
  }

  /** What is missing, as `name: reason`. Empty when ready. */
  missing(): string[] {
    return [...this.#missing].map(([name, reason]) => `${name}: ${reason}`)
  }
}
