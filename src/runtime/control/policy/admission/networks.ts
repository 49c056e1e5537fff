import { networkContains, parseIpNetwork } from '../../cluster/ip.ts'
import type { Findings } from './findings.ts'

export interface NetworkSpec {
  cidr?: string
  except?: string[]
}

/** Networks and their exceptions: readable, and the exceptions inside. */
export function reviewNetworks(field: string, networks: readonly NetworkSpec[], findings: Findings): void {
  networks.forEach(({ cidr = '', except = [] }, place) => {
    const network = parseIpNetwork(cidr)
    const at = `${field}[${place}]`
    if (network === undefined) findings.refuse(`${at}.cidr`, `"${cidr}" is not a network such as 10.0.0.0/8`)
    except.forEach((text, index) => {
      const exception = parseIpNetwork(text)
      if (exception === undefined) {
        findings.refuse(`${at}.except[${index}]`, `"${text}" is not a network such as 10.1.0.0/16`)
      } else if (network !== undefined) {
        const isInside =
          exception.prefixLength >= network.prefixLength && networkContains(network, exception.ip)
        if (!isInside) findings.refuse(`${at}.except[${index}]`, `${text} is not inside ${cidr}`)
      }
    })
  })
}
