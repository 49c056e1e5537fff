import { parseCertificates } from '../../pki/certificate.ts'
import { podKeyOf } from './acknowledgements.ts'
import { hashOf, revisionOf } from './rotation.ts'

/** The bundle as proxies get it. */
export interface TrustBundle {
  /** DER. */
  anchors: Buffer[]
  revision: string
}

/** A proxy that watches. */
interface Watcher {
  podUid: string | undefined
  heldRevision: string
  wake: () => void
}

/** The newest bundle, who watches it, and what they hold. A slow watcher gets the newest one, never a backlog. */
export class TrustHub {
  #bundle: TrustBundle | undefined
  readonly #watchers = new Set<Watcher>()

  get bundle(): TrustBundle | undefined {
    return this.#bundle
  }

  /** @throws MeshError `MESH_CERTIFICATE_INVALID`; the last bundle stays */
  setBundle(pem: string): void {
    const certificates = parseCertificates(pem)
    const revision = revisionOf(certificates.map(hashOf))
    if (revision === this.#bundle?.revision) return
    this.#bundle = { anchors: certificates.map(({ der }) => der), revision }
    for (const watcher of this.#watchers) watcher.wake()
  }

  /** Pods of the watchers that hold the newest bundle, by {@link podKeyOf}. */
  podsWithBundle(): string[] {
    const pods = new Set<string>()
    for (const { podUid, heldRevision } of this.#watchers) {
      if (podUid !== undefined && heldRevision === this.#bundle?.revision) pods.add(podKeyOf(podUid))
    }
    return [...pods]
  }

  /** The bundle and each later one, until the signal aborts. */
  async *watch(
    podUid: string | undefined,
    heldRevision: string,
    signal: AbortSignal,
  ): AsyncGenerator<TrustBundle> {
    let wake = () => {}
    const watcher: Watcher = { podUid, heldRevision, wake: () => wake() }
    const onAbort = () => wake()
    signal.addEventListener('abort', onAbort, { once: true })
    this.#watchers.add(watcher)
    try {
      let sent: string | undefined
      while (!signal.aborted) {
        const changed = new Promise<void>((resolve) => {
          wake = resolve
        })
        const bundle = this.#bundle
        if (bundle !== undefined && bundle.revision !== sent) {
          sent = bundle.revision
          yield bundle
          // Another may have come while this one was sent.
          continue
        }
        await changed
      }
    } finally {
      this.#watchers.delete(watcher)
      signal.removeEventListener('abort', onAbort)
    }
  }
}
