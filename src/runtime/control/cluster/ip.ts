import { isIPv4, isIPv6 } from 'node:net'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type IPAddress,
  IPAddressSchema,
  type IPNetworkSchema,
} from '../../proto/gen/io/linkerd/proxy/net_pb.js'

/** An address as a number: 32 bits, or 128. */
export interface Ip {
  family: 4 | 6
  bits: bigint
}

/** A CIDR: the addresses whose first `prefixLength` bits are those of `ip`. */
export interface IpNetwork {
  ip: Ip
  prefixLength: number
}

const mappedPrefix = 0xffffn
const low64 = (1n << 64n) - 1n

/** Reads an address; an IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) is that IPv4 address. */
export function parseIp(text: string): Ip | undefined {
  if (isIPv4(text)) return { family: 4, bits: bitsOfIpv4(text) }
  if (!isIPv6(text) || text.includes('%')) return undefined
  return unmapped(bitsOfIpv6(text))
}

function unmapped(bits: bigint): Ip {
  if (bits >> 32n === mappedPrefix) return { family: 4, bits: bits & 0xffffffffn }
  return { family: 6, bits }
}

function bitsOfIpv4(text: string): bigint {
  return text.split('.').reduce((bits, octet) => (bits << 8n) | BigInt(octet), 0n)
}

function bitsOfIpv6(text: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (dotted?.[1] !== undefined && dotted[2] !== undefined) {
    const low = bitsOfIpv4(dotted[2])
    return bitsOfIpv6(`${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`)
  }
  const [head = '', tail] = text.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...after]
  return groups.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n)
}

/** The one text of an address (RFC 5952 for IPv6), fit to be a key. */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) return [24n, 16n, 8n, 0n].map((shift) => (ip.bits >> shift) & 0xffn).join('.')
  const groups = Array.from({ length: 8 }, (_, place) =>
    ((ip.bits >> BigInt(112 - place * 16)) & 0xffffn).toString(16),
  )
  // The URL parser shortens as RFC 5952 asks.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

/** The one text of an address, or undefined when it is none. */
export function canonicalIp(text: string): string | undefined {
  if (isIPv4(text)) return text
  const ip = parseIp(text)
  return ip === undefined ? undefined : formatIp(ip)
}

/** Reads `IP/LENGTH`; an address alone is a network of one. Bits beyond the prefix are cleared. */
export function parseIpNetwork(text: string): IpNetwork | undefined {
  const [address = '', length, ...rest] = text.trim().split('/')
  const ip = parseIp(address)
  if (ip === undefined || rest.length > 0) return undefined
  const width = ip.family === 4 ? 32 : 128
  if (length === undefined) return { ip, prefixLength: width }
  if (!/^\d{1,3}$/.test(length) || Number(length) > width) return undefined
  return { ip: { family: ip.family, bits: prefixOf(ip, Number(length)) }, prefixLength: Number(length) }
}

/** Networks separated by commas; what cannot be read is left out. */
export function parseIpNetworks(text: string): IpNetwork[] {
  return text.split(',').flatMap((part) => parseIpNetwork(part) ?? [])
}

function prefixOf(ip: Ip, prefixLength: number): bigint {
  const hostBits = BigInt((ip.family === 4 ? 32 : 128) - prefixLength)
  return (ip.bits >> hostBits) << hostBits
}

export function networkContains(network: IpNetwork, ip: Ip): boolean {
  return network.ip.family === ip.family && prefixOf(ip, network.prefixLength) === network.ip.bits
}

/** An address as the wire has it. */
export function ipToWire(ip: Ip): IPAddress {
  return create(IPAddressSchema, {
    ip:
      ip.family === 4
        ? { case: 'ipv4', value: Number(ip.bits) }
        : { case: 'ipv6', value: { first: ip.bits >> 64n, last: ip.bits & low64 } },
  })
}

/** An address from the wire; undefined when it holds none. */
export function ipFromWire(address: IPAddress | undefined): Ip | undefined {
  switch (address?.ip.case) {
    case 'ipv4':
      return { family: 4, bits: BigInt(address.ip.value) }
    case 'ipv6':
      return unmapped((address.ip.value.first << 64n) | address.ip.value.last)
    case undefined:
      return undefined
  }
}

export function networkToWire(network: IpNetwork): MessageInitShape<typeof IPNetworkSchema> {
  return { ip: ipToWire(network.ip), prefixLen: network.prefixLength }
}
