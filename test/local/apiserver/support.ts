import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApiServer } from '../../../src/runtime/local/apiserver/server.ts'
import type { ApiServer, ApiServerOptions } from '../../../src/runtime/local/apiserver/types.ts'
import { createTrustAnchor, issueLeaf } from '../../../src/runtime/pki/authority.ts'
import { generateKey, privateKeyPem } from '../../../src/runtime/pki/keys.ts'
import { toPem } from '../../../src/runtime/pki/pem.ts'
import { inheritedEnv } from '../../../src/runtime/shared/env.ts'

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
    issueClient: (commonName, organizations) => issue({ subject: { commonName, organizations }, purposes: ['client'] }),
  }
}

export interface CommandResult {
  code: number
  stdout: string
  stderr: string
}

export interface TestCluster {
  server: ApiServer
  url: string
  ca: string
  /** Runs kubectl as administrator. */
  kubectl(args: string[], options?: { stdin?: string; version?: string; kubeconfig?: string }): Promise<CommandResult>
  /** A kubeconfig with a client certificate. */
  kubeconfigFor(name: string, groups: string[]): string
  folder: string
  close(): Promise<void>
}

function run(args: string[], env: Record<string, string>, stdin: string | undefined): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile('kubectl', args, { env, timeout: 30_000, maxBuffer: 16e6 }, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : 1) : 0
      resolve({ code, stdout, stderr })
    })
    child.stdin?.end(stdin ?? '')
  })
}

/** A server in this process on a loopback port, and kubectl to drive it. */
export async function startTestCluster(options: Partial<ApiServerOptions> = {}): Promise<TestCluster> {
  const certificates = createTestCertificates()
  const server = await createApiServer({
    tls: certificates.serving,
    clusterCa: certificates.ca,
    apiEndpoints: [{ ip: '10.0.0.1', port: 6443 }],
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
      clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': base64(certificates.ca) } }],
      users: [
        { name, user: { 'client-certificate-data': base64(certificate), 'client-key-data': base64(privateKey) } },
      ],
      contexts: [{ name: 'test', context: { cluster: 'test', user: name } }],
      'current-context': 'test',
    }
    const path = join(folder, `kubeconfig-${name.replace(/\W/g, '-')}`)
    writeFileSync(path, JSON.stringify(config))
    return path
  }
  const admin = kubeconfigFor('admin', ['system:masters'])
  return {
    server,
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
