// The two parts of node-forge that are used, loaded without the rest of it.
declare module 'node-forge/lib/asn1.js' {
  interface Node {
    tagClass: number
    type: number
    constructed: boolean
    /** Whether `value` is a list of nodes. */
    composed: boolean
    /** Bytes as a binary string, or the nodes inside. */
    value: string | Node[]
  }
  const asn1: {
    create(tagClass: number, type: number, constructed: boolean, value: string | Node[]): Node
    fromDer(
      bytes: string,
      options: { strict: boolean; parseAllBytes: boolean; decodeBitStrings: boolean },
    ): Node
    toDer(node: Node): { getBytes(): string }
    oidToDer(oid: string): { getBytes(): string }
    derToOid(bytes: string): string
    utcTimeToDate(bytes: string): Date
    generalizedTimeToDate(bytes: string): Date
  }

  export type { Node }
  export default asn1
}

declare module 'node-forge/lib/pem.js' {
  const pem: { decode(text: string): { type: string; body: string }[] }
  export default pem
}
