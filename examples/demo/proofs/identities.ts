import { demand } from '../claims.ts'
import { shopReplicas } from '../set-up.ts'
import type { Proof } from './proof.ts'

/** An edge of `mesh viz edges -o json`. */
interface EdgeJson {
  src: string
  dst: string
  client_id: string | null
  server_id: string | null
  no_tls_reason: string | null
}

/** Who is who. */
export const identities: Proof = {
  heading: 'Both sides of every connection are named by certificates.',
  command: 'mesh viz edges deploy -n shop -o wide',
  claims: (world) => [
    {
      title: 'web and payments have verified each other',
      prove: async () => {
        const { stdout } = await world.shell.run('mesh viz edges deploy -n shop -o json')
        const edge = (JSON.parse(stdout) as EdgeJson[]).find(
          ({ src, dst }) => src === 'web' && dst === 'payments',
        )
        demand(edge !== undefined, 'there is no edge between them')
        demand(edge.no_tls_reason === null, `it is not secured: ${edge.no_tls_reason}`)
        demand(edge.client_id?.startsWith('web.shop.') === true, `the client is ${edge.client_id}`)
        demand(edge.server_id?.startsWith('payments.shop.') === true, `the server is ${edge.server_id}`)
        return `${edge.client_id} → ${edge.server_id}`
      },
    },
    {
      title: 'every connection within the shop is secured',
      prove: async () => {
        const { stdout } = await world.shell.run('mesh viz edges deploy -n shop -o json')
        const edges = (JSON.parse(stdout) as EdgeJson[]).filter(({ src }) => src in shopReplicas)
        const plain = edges.find((edge) => edge.no_tls_reason !== null)
        demand(plain === undefined, `${plain?.src} → ${plain?.dst}: ${plain?.no_tls_reason}`)
        const pairs = edges.map(({ src, dst }) => `${src} → ${dst}`)
        demand(pairs.length >= 5, `only ${pairs.length} edges: ${pairs.join(', ')}`)
        return pairs.join(', ')
      },
    },
  ],
}
