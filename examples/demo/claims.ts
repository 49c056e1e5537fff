import { paint } from '../../src/runtime/cli/output.ts'

/** Something that the demo says is so. */
export interface Claim {
  /** What is claimed, as a sentence. */
  title: string
  /** Gives the evidence, or throws with what speaks against it. */
  prove(): Promise<string>
}

/** Checks claims one by one, tells how each went, and counts. */
export class ClaimBook {
  readonly failed: string[] = []
  passed = 0
  readonly #print: (line: string) => void
  readonly #colour: boolean

  constructor(print: (line: string) => void, colour: boolean) {
    this.#print = print
    this.#colour = colour
  }

  async check(claim: Claim, signal: AbortSignal): Promise<void> {
    try {
      const evidence = await claim.prove()
      this.passed += 1
      this.#print(`  ${paint('✔', 'green', this.#colour)} ${claim.title}: ${evidence}`)
    } catch (error) {
      // Ctrl-C says nothing about the claim.
      if (signal.aborted) throw error
      this.failed.push(claim.title)
      const reason = error instanceof Error ? error.message : String(error)
      this.#print(`  ${paint('✘', 'red', this.#colour)} ${claim.title}: ${reason}`)
    }
  }
}

/** @throws {Error} with the text when the condition does not hold */
export function demand(condition: boolean, text: string): asserts condition {
  if (!condition) throw new Error(text)
}
