import { StringDecoder } from 'node:string_decoder'

/**
 * Splits a stream of bytes into lines as they arrive. Empty lines are dropped; the last line needs no newline.
 * @throws Error when one line is longer than `maxLineLength` characters
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  maxLineLength = 64 * 1024 * 1024,
): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  let parts: string[] = []
  let partsLength = 0
  for await (const chunk of chunks) {
    const text = decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    let start = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      const line = parts.join('') + text.slice(start, end)
      parts = []
      partsLength = 0
      start = end + 1
      if (line.trim() !== '') yield line
    }
    parts.push(text.slice(start))
    partsLength += text.length - start
    if (partsLength > maxLineLength) throw new Error(`a line of more than ${maxLineLength} characters`)
  }
  const rest = parts.join('') + decoder.end()
  if (rest.trim() !== '') yield rest
}
