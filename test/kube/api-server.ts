import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type Authority, createTrustAnchor, issueLeaf } from '../../src/runtime/pki/authority.ts'
import { generateKey, privateKeyPem } from '../../src/runtime/pki/keys.ts'
import { toPem } from '../../src/runtime/pki/pem.ts'

const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 }

/** An HTTPS server on the loopback address that answers as a test says. */
export interface TestApiServer {
  url: string
  authority: Authority
  /** Connections that were made so far. */
  connectionCount: () => number
  close: () => Promise<void>
}

export type Handler = (request: IncomingMessage & { body: string }, response: ServerResponse) => void

export async function startApiServer(handler: Handler): Promise<TestApiServer> {
  const authority = createTrustAnchor('test', validity)
  const key = generateKey()
  const der = issueLeaf(authority, { ...validity, publicKey: key.publicKey, ipAddresses: ['127.0.0.1'] })
  const tls = {
    cert: toPem('CERTIFICATE', der),
    key: privateKeyPem(key.privateKey),
    ca: authority.certificate.toPem(),
    requestCert: true,
    rejectUnauthorized: false,
  }
  const server: Server = createServer(tls, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () =>
      handler(Object.assign(request, { body: Buffer.concat(chunks).toString() }), response),
    )
  })
  let connections = 0
  server.on('secureConnection', () => {
    connections += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    authority,
    connectionCount: () => connections,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** A certificate for a client, PEM. */
export function clientCertificate(authority: Authority, commonName: string): { cert: string; key: string } {
  const key = generateKey()
  const request = { ...validity, publicKey: key.publicKey, subject: { commonName, organizations: ['ops'] } }
  return { cert: toPem('CERTIFICATE', issueLeaf(authority, request)), key: privateKeyPem(key.privateKey) }
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

export function status(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message }
}
