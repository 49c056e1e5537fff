import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits until the condition holds. For what happens outside the process or over sockets, where a fake clock is of no
 * use.
 * @throws Error with the description after the deadline
 */
export async function until(
  description: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 10_000,
): Promise<void> {
  const endMs = Date.now() + deadlineMs
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${description}`)
    await sleep(5)
  }
}
