/** Addresses of one pod. */
export interface PodAddresses {
  /** Distinguishes the pod's links; 2 to 65534. */
  index: number
  ipv4: string
  ipv6: string
  mac: string
}

const firstIndex = 2
const lastIndex = 65_534

/**
 * Hands out addresses of the pod network in order. One that was given back is used again only after all others, so
 * that nobody who still remembers a dead pod reaches a new one.
 */
export class AddressPool {
  readonly #used = new Set<number>()
  #next = firstIndex

  /** @throws Error when all are in use */
  take(): PodAddresses {
    for (let tries = firstIndex; tries <= lastIndex; tries++) {
      const index = this.#next
      this.#next = index === lastIndex ? firstIndex : index + 1
      // The last byte of an address is never 0 or 255: some programs take these for a network or a broadcast.
      if (this.#used.has(index) || index % 256 === 0 || index % 256 === 255) continue
      this.#used.add(index)
      return addressesOf(index)
    }
    throw new Error('every address of the pod network is in use')
  }

  giveBack(addresses: PodAddresses): void {
    this.#used.delete(addresses.index)
  }
}

function addressesOf(index: number): PodAddresses {
  const high = index >> 8
  const low = index & 255
  const hex = (byte: number) => byte.toString(16).padStart(2, '0')
  return {
    index,
    ipv4: `10.244.${high}.${low}`,
    ipv6: `fd00:10:244::${index.toString(16)}`,
    mac: `0a:58:0a:f4:${hex(high)}:${hex(low)}`,
  }
}
