/** What every service of the shop needs to know about itself. */
export interface ServiceOptions {
  /** TCP port to serve on; 0 takes a free one. */
  port: number
  /**
   * How long a service goes on accepting after it was told to stop, in milliseconds: clients learn that a pod goes
   * away only after the pod does, so one that closes its door at once turns away requests already on their way.
   */
  lingerMs: number
}

/** A service that runs. */
export interface RunningService {
  /** The port it listens on. */
  port: number
  /** Stops accepting after the linger time, and resolves when everything in flight is answered. */
  stop(): Promise<void>
}

/**
 * Travels in the body of every request, in both directions. A capture of the wire is searched for it: where it shows,
 * the wire is readable.
 */
export const marker = 'SHOP-PLAINTEXT-MARKER'

/** Resolves after the time. */
export function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs))
}
