import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import { type Answer, decode, encode, type Packet } from 'dns-packet'
import { clusterDomain } from '../addresses.ts'
import type { Cluster } from '../cluster.ts'
import { type DnsSource, resolveQuestion } from './records.ts'

/** Largest answer over UDP when the client does not say otherwise, RFC 1035. */
const plainUdpBytes = 512
/** What we accept and announce with EDNS, RFC 6891 and dnsflagday.net/2020. */
const ednsUdpBytes = 1232

const flagAuthoritative = 1 << 10
const flagTruncated = 1 << 9
const flagRecursionDesired = 1 << 8
const flagRecursionAvailable = 1 << 7
const rcodes = { NOERROR: 0, FORMERR: 1, NXDOMAIN: 3, NOTIMP: 4 } as const

/** A DNS server that runs. */
export interface DnsServer {
  close(): void
}

/** The names of a cluster. */
export function clusterNames({ cache }: Pick<Cluster, 'cache'>): DnsSource {
  return {
    service: (name, namespace) => cache.services.get(name, namespace),
    services: () => cache.services.list(),
    slices: (namespace) => cache.endpointSlices.list(namespace),
    hasNamespace: (name) => cache.namespaces.get(name) !== undefined,
  }
}

/** Answers questions over UDP and TCP. */
export async function serveDns(source: DnsSource, host: string, port = 53): Promise<DnsServer> {
  const udp = createSocket('udp4')
  const tcp = createServer((socket) => serveConnection(source, socket))
  udp.on('message', (message, { address, port: from }) => {
    const answer = answerMessage(source, message, 'udp')
    if (answer !== undefined) udp.send(answer, from, address, () => undefined)
  })
  await bindUdp(udp, host, port)
  await listenTcp(tcp, host, udp.address().port)
  return {
    close: () => {
      udp.close()
      tcp.close()
    },
  }
}

function bindUdp(socket: DatagramSocket, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, host, () => {
      socket.off('error', reject)
      // Errors of single datagrams, such as a client that is gone, must not end the server.
      socket.on('error', () => undefined)
      resolve()
    })
  })
}

function listenTcp(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Messages with a length before each, RFC 1035 §4.2.2. */
function serveConnection(source: DnsSource, socket: Socket): void {
  let pending = Buffer.alloc(0)
  socket.setTimeout(10_000, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk])
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const end = 2 + pending.readUInt16BE(0)
      const answer = answerMessage(source, pending.subarray(2, end), 'tcp')
      pending = pending.subarray(end)
      if (answer === undefined) return void socket.destroy()
      const length = Buffer.alloc(2)
      length.writeUInt16BE(answer.length)
      socket.write(Buffer.concat([length, answer]))
    }
  })
}

/** The answer to one message, or undefined when it is not a question. */
export function answerMessage(
  source: DnsSource,
  message: Uint8Array,
  transport: 'udp' | 'tcp',
): Buffer | undefined {
  let query: Packet
  try {
    query = decode(Buffer.from(message))
  } catch {
    return message.length < 12 ? undefined : formatError(message)
  }
  if (query.type !== 'query') return undefined
  const response = respond(source, query)
  const edns = query.additionals?.find((record) => record.type === 'OPT')
  if (edns !== undefined) response.additionals?.push(ednsRecord)
  const encoded = encode(response)
  const asked = edns?.type === 'OPT' ? (edns.udpPayloadSize ?? 0) : plainUdpBytes
  const limit = Math.min(Math.max(asked, plainUdpBytes), ednsUdpBytes)
  if (transport === 'tcp' || encoded.length <= limit) return encoded
  const flags = (response.flags ?? 0) | flagTruncated
  return encode({ ...response, flags, answers: [], additionals: edns === undefined ? [] : [ednsRecord] })
}

const ednsRecord: Answer = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: ednsUdpBytes,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
}

function respond(source: DnsSource, query: Packet): Packet {
  const questions = query.questions ?? []
  const asked = (query.flags ?? 0) & flagRecursionDesired
  const base = { type: 'response' as const, id: query.id ?? 0, questions }
  const [question] = questions
  if (question === undefined || questions.length !== 1) {
    return { ...base, flags: asked | rcodes.FORMERR, answers: [], additionals: [] }
  }
  const { rcode, answers, additionals, isAuthoritative } = resolveQuestion(source, question)
  const authority = isAuthoritative ? flagAuthoritative : 0
  return {
    ...base,
    flags: asked | flagRecursionAvailable | authority | rcodes[rcode],
    answers: answers as Answer[],
    authorities: answers.length === 0 && isAuthoritative ? [startOfAuthority] : [],
    additionals: additionals as Answer[],
  }
}

/** A name that a client waits for is mostly that of a pod which starts right now. */
const noTtlSeconds = 1

/** Goes with every "no", and says how long it may be kept, RFC 2308. */
const startOfAuthority: Answer = {
  type: 'SOA',
  name: clusterDomain,
  ttl: noTtlSeconds,
  data: {
    mname: `ns.dns.${clusterDomain}`,
    rname: `hostmaster.${clusterDomain}`,
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86_400,
    minimum: noTtlSeconds,
  },
}

function formatError(message: Uint8Array): Buffer {
  const header = Buffer.alloc(12)
  Buffer.from(message).copy(header, 0, 0, 2)
  header[2] = 0x80
  header[3] = rcodes.FORMERR
  return header
}
