import pem from 'node-forge/lib/pem.js'

/** One block of a PEM text. */
export interface PemBlock {
  /** Such as `CERTIFICATE`. */
  label: string
  der: Buffer
}

/** The blocks of a text; none when it is no PEM. RFC 7468. */
export function pemBlocks(text: string): PemBlock[] {
  try {
    return pem.decode(text).map(({ type, body }) => ({ label: type, der: Buffer.from(body, 'latin1') }))
  } catch {
    return []
  }
}

/** Writes one block, with a newline at its end. */
export function toPem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`
}
