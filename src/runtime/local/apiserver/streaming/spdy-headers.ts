import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib'

// The words of the SPDY/3 header dictionary, draft-mbelshe-httpbis-spdy-00 §2.6.10.1: each with its length before it …
const words =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status'
// … then one that has a space, more words, and a tail without lengths.
const statusLine = '200 OK'
const lastWords = 'version HTTP/1.1 url public set-cookie keep-alive origin'
const tail =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.'

function prefixed(word: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(word.length)
  return Buffer.concat([length, Buffer.from(word)])
}

/** The preset dictionary of SPDY/3 header compression. */
export const spdyDictionary: Buffer = Buffer.concat([
  ...[...words.split(' '), statusLine, ...lastWords.split(' ')].map(prefixed),
  Buffer.from(tail),
])

/** Sends a block through a compressor that lives as long as the connection, and collects what comes out. */
function pass(codec: Deflate | Inflate, block: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const onData = (chunk: Buffer) => chunks.push(chunk)
    const finish = (action: () => void) => {
      codec.off('data', onData)
      codec.off('error', onError)
      action()
    }
    const onError = (error: Error) => finish(() => reject(error))
    codec.on('data', onData)
    codec.on('error', onError)
    codec.write(block)
    codec.flush(constants.Z_SYNC_FLUSH, () => finish(() => resolve(Buffer.concat(chunks))))
  })
}

function encodePairs(headers: Record<string, string>): Buffer {
  const entries = Object.entries(headers)
  const count = Buffer.alloc(4)
  count.writeUInt32BE(entries.length)
  return Buffer.concat([count, ...entries.flatMap(([name, value]) => [prefixed(name), prefixed(value)])])
}

function decodePairs(block: Buffer): Record<string, string> {
  const headers: Record<string, string> = {}
  let position = 4
  const take = () => {
    const length = block.readUInt32BE(position)
    const text = block.toString('utf8', position + 4, position + 4 + length)
    position += 4 + length
    return text
  }
  for (let left = block.readUInt32BE(0); left > 0; left--) {
    const name = take().toLowerCase()
    headers[name] = take()
  }
  return headers
}

/** Compresses and decompresses header blocks. Blocks must go through it in the order of the wire, one at a time. */
export class HeaderCodec {
  readonly #deflate = createDeflate({ dictionary: spdyDictionary })
  readonly #inflate = createInflate({ dictionary: spdyDictionary })

  async encode(headers: Record<string, string>): Promise<Buffer> {
    return pass(this.#deflate, encodePairs(headers))
  }

  /** @throws Error when the block is malformed */
  async decode(block: Buffer): Promise<Record<string, string>> {
    return decodePairs(await pass(this.#inflate, block))
  }

  close(): void {
    this.#deflate.close()
    this.#inflate.close()
  }
}
