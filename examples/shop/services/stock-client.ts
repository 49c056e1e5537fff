import { connect } from 'node:net'
import { marker } from './service.ts'

/** An answer that takes longer counts as none. */
const timeoutMs = 5_000

/**
 * Reserves one piece over a connection of its own: greeting, `RESERVE`, `QUIT`.
 * @param address `HOST:PORT`
 * @returns how many are left
 */
export function reserve(address: string, sku: string): Promise<number> {
  const at = address.lastIndexOf(':')
  const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)) })
  socket.setEncoding('latin1')
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`stock did not answer in ${timeoutMs} ms`)))
  return new Promise((resolve, reject) => {
    let text = ''
    let left: number | undefined
    socket.on('data', (chunk: string) => {
      text += chunk
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end)
        text = text.slice(end + 2)
        if (line.startsWith('220 ')) socket.write(`RESERVE ${sku} ${marker}\r\nQUIT\r\n`)
        else if (line.startsWith('250 ')) left = Number(line.split(' ')[2])
        else if (!line.startsWith('221 ')) socket.destroy(new Error(`stock answered ${JSON.stringify(line)}`))
      }
    })
    socket.on('error', reject)
    socket.on('close', () => {
      if (left === undefined) reject(new Error('stock closed the connection without an answer'))
      else resolve(left)
    })
  })
}
