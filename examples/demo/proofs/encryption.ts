import { marker } from '../../shop/services/service.ts'
import { demand } from '../claims.ts'
import { finishPod, loadStats, logOf, outside, startPod, until, type World } from '../world.ts'
import { callFromOutside } from './outsider.ts'
import type { Proof } from './proof.ts'

/** Captures what goes between pods, and reports how much, and how often the marker is in it. */
const captureScript = [
  'tcpdump -Z root -i any -n -s 0 -U -w /tmp/wire.pcap "tcp and src net 10.244.0.0/16 and dst net 10.244.0.0/16" 2>/tmp/tcpdump.log &',
  'until grep -q listening /tmp/tcpdump.log; do kill -0 $! || { cat /tmp/tcpdump.log; exit 1; }; sleep 0.05; done',
  'echo capturing',
  'sleep 4',
  'kill -INT $!',
  'wait $!',
  `echo "packets $(tcpdump -n -r /tmp/wire.pcap 2>/dev/null | wc -l)"`,
  `echo "bytes $(stat -c %s /tmp/wire.pcap)"`,
  `echo "markers $(grep -a -o ${marker} /tmp/wire.pcap | wc -l)"`,
].join('\n')

interface Capture {
  packets: number
  bytes: number
  markers: number
}

/** Captures on the node for some seconds; `meanwhile` runs once packets are being taken. */
async function capture(world: World, name: string, meanwhile: () => Promise<unknown>): Promise<Capture> {
  await startPod(world, name, {
    image: 'localhost/host',
    command: ['sh', '-c', captureScript],
    hostNetwork: true,
  })
  await until(world, 'tcpdump captures', async () =>
    (await logOf(world, outside, name)).includes('capturing') ? true : undefined,
  )
  await meanwhile()
  const log = await finishPod(world, name)
  const read = (word: string) => {
    const text = new RegExp(`^${word} (\\d+)$`, 'm').exec(log)?.[1]
    demand(text !== undefined, `the capture gave no count of ${word}: ${log}`)
    return Number(text)
  }
  return { packets: read('packets'), bytes: read('bytes'), markers: read('markers') }
}

/** What is on the wire. */
export const encryption: Proof = {
  heading: `Mutual TLS. Every request holds the text ${marker}; tcpdump on the node looks for it.`,
  claims: (world) => [
    {
      title: 'between meshed pods the text is never on the wire',
      prove: async () => {
        const before = await loadStats(world)
        const { packets, bytes, markers } = await capture(world, 'capture-meshed', async () => {})
        const requests = (await loadStats(world)).sent - before.sent
        demand(requests > 20 && packets > requests, `only ${packets} packets for ${requests} requests`)
        demand(markers === 0, `it was there ${markers} times in ${packets} packets`)
        return `${requests} requests, ${packets} packets, ${bytes} bytes, 0 occurrences`
      },
    },
    {
      title: 'the same capture finds it when a pod outside the mesh sends it',
      prove: async () => {
        const { markers } = await capture(world, 'capture-plain', () =>
          callFromOutside(world, 'plain-client', 'http://cart.shop:8080/add'),
        )
        demand(markers > 0, 'it was not found, so the capture proves nothing')
        return `${markers} occurrences`
      },
    },
  ],
}
