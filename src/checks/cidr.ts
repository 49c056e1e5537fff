import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** A list of networks such as `10.0.0.0/8,fd00::/8`, to ask what lies in it. */
export function networkList(text: string): { includes(address: string): boolean } {
  const list = new BlockList()
  for (const item of text.split(',').filter(Boolean)) {
    const [address = '', prefix = ''] = item.trim().split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    list.addSubnet(address, Number(prefix), family)
  }
  return {
    includes: (address) => {
      if (isIPv4(address)) return list.check(address, 'ipv4')
      return isIPv6(address) && list.check(address, 'ipv6')
    },
  }
}
