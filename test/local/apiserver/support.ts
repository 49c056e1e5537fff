import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApiServer } from '../../../src/runtime/local/apiserver/server.ts'
import type { ApiServer, ApiServerOptions } from '../../../src/runtime/local/apiserver/types.ts'
import { createTrustAnchor, issueLeaf } from '../../../src/runtime/pki/authority.ts'
import { generateKey, privateKeyPem } from '../../../src/runtime/pki/keys.ts'
import { toPem } from '../../../src/runtime/pki/pem.ts'
import { inheritedEnv } from '../../../src/runtime/shared/env.ts'
import { createLogger } from '../../../src/runtime/shared/logger.ts'

const hourMs = 3_600_000

/** An authority with a serving certificate for the loopback address and an administrator's certificate. */
export function createTestCertificates(): {
  ca: string
  serving: { certificate: string; privateKey: string }
  issueClient: (name: string, groups: string[]) => { certificate: string; privateKey: string }
} {
  const validity = { notBeforeMs: Date.now() - hourMs, notAfterMs: Date.now() + 24 * hourMs }
  const authority = createTrustAnchor('test', validity)
  const issue = (request: Partial<Parameters<typeof issueLeaf>[1]>) => {
    const key = generateKey()
    const der = issueLeaf(authority, { ...validity, publicKey: key.publicKey, ...request })
    return { certificate: toPem('CERTIFICATE', der), privateKey: privateKeyPem(key.privateKey) }
  }
  return {
    ca: authority.certificate.toPem(),
    serving: issue({
      subject: { commonName: 'kubernetes' },
      dnsNames: ['localhost', 'kubernetes.default.svc'],
      ipAddresses: ['127.0.0.1'],
    }),
    issueClient: (commonName, organizations) =>
      issue({ subject: { commonName, organizations }, purposes: ['client'] }),
  }
}

export interface CommandResult {
  code: number
  stdout: string
  stderr: string
}

export interface HttpAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  json: any
}

export interface HttpRequest {
  body?: unknown
  headers?: Record<string, string>
  /** Bearer token. */
  token?: string
  /** As the administrator, unless a token is given. */
  anonymous?: boolean
}

export interface TestCluster {
  /** Sends a request without kubectl. */
  http(method: string, path: string, request?: HttpRequest): Promise<HttpAnswer>
  server: ApiServer
  url: string
  ca: string
  /** Runs kubectl as administrator. */
  kubectl(
    args: string[],
    options?: { stdin?: string; version?: string; kubeconfig?: string },
  ): Promise<CommandResult>
  /** A kubeconfig with a client certificate. */
  kubeconfigFor(name: string, groups: string[]): string
  folder: string
  close(): Promise<void>
}

function run(args: string[], env: Record<string, string>, stdin: string | undefined): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(
      'kubectl',
      args,
      { env, timeout: 30_000, maxBuffer: 16e6 },
      (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : 1) : 0
        resolve({ code, stdout, stderr })
      },
    )
    child.stdin?.end(stdin ?? '')
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function httpClient(
  url: string,
  ca: string,
  admin: { certificate: string; privateKey: string },
): TestCluster['http'] {
  return (method, path, { body, headers = {}, token, anonymous = false } = {}) =>
    new Promise((resolve, reject) => {
      const isPlain = body === undefined || typeof body === 'string' || body instanceof Uint8Array
      const content = isPlain ? (body as string | Uint8Array | undefined) : JSON.stringify(body)
      const identity = token || anonymous ? {} : { cert: admin.certificate, key: admin.privateKey }
      const outgoing = httpsRequest(`${url}${path}`, {
        method,
        ca,
        ...identity,
        agent: false,
        headers: {
          'content-type': 'application/json',
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...headers,
        },
      })
      outgoing.on('error', reject)
      outgoing.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text) })
        })
      })
      outgoing.end(content)
    })
}

/** A server in this process on a loopback port, and kubectl to drive it. */
export async function startTestCluster(options: Partial<ApiServerOptions> = {}): Promise<TestCluster> {
  const certificates = createTestCertificates()
  const server = await createApiServer({
    tls: certificates.serving,
    clusterCa: certificates.ca,
    apiEndpoints: [{ ip: '10.0.0.1', port: 6443 }],
    logger: createLogger('test', 'silent'),
    ...options,
  })
  const { port } = await server.listenTls({ host: '127.0.0.1', port: 0 })
  const url = `https://127.0.0.1:${port}`
  const folder = mkdtempSync(join(tmpdir(), 'mesh-apiserver-'))
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const kubeconfigFor = (name: string, groups: string[]) => {
    const { certificate, privateKey } = certificates.issueClient(name, groups)
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'test', cluster: { server: url, 'certificate-authority-data': base64(certificates.ca) } },
      ],
      users: [
        {
          name,
          user: { 'client-certificate-data': base64(certificate), 'client-key-data': base64(privateKey) },
        },
      ],
      contexts: [{ name: 'test', context: { cluster: 'test', user: name } }],
      'current-context': 'test',
    }
    const path = join(folder, `kubeconfig-${name.replace(/\W/g, '-')}`)
    writeFileSync(path, JSON.stringify(config))
    return path
  }
  const admin = kubeconfigFor('admin', ['system:masters'])
  const http = httpClient(url, certificates.ca, certificates.issueClient('admin', ['system:masters']))
  return {
    server,
    http,
    url,
    ca: certificates.ca,
    folder,
    kubeconfigFor,
    kubectl: (args, { stdin, kubeconfig = admin } = {}) =>
      run(args, { ...inheritedEnv(), HOME: folder, KUBECONFIG: kubeconfig }, stdin),
    async close() {
      await server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
