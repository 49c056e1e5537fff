import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { type Document, isMap, isSeq, parseAllDocuments } from 'yaml'
import type { KubeObject } from '../kube/types.ts'
import { MeshError, messageOf } from '../shared/errors.ts'
import { readTextFile } from './read-text.ts'

/** One document of a manifest: its comments and order are kept. */
export type ManifestDocument = Document.Parsed

/** A Kubernetes object inside a document: the document itself, or an item of a List. */
export interface ManifestObject {
  document: ManifestDocument
  /** Where in the document the object begins; empty for the document itself. */
  at: readonly (string | number)[]
  kind: string
  name: string
  namespace: string | undefined
}

const manifestFile = /\.(ya?ml|json)$/

/**
 * Reads manifests in the order given.
 * @param sources `-`, files, folders (every `.yaml`, `.yml`, `.json` below them, sorted) and `https://` addresses
 * @throws MeshError `MESH_FILE_UNREADABLE`, `MESH_MANIFEST_INVALID`, `MESH_MANIFEST_URL`
 */
export async function readManifests(sources: readonly string[]): Promise<ManifestDocument[]> {
  const documents: ManifestDocument[] = []
  for (const source of sources) {
    for (const file of await filesOf(source)) documents.push(...parseManifest(await textOf(file), file))
  }
  return documents
}

async function filesOf(source: string): Promise<string[]> {
  if (source === '-' || /^[a-z]+:\/\//.test(source)) return [source]
  const isFolder = await stat(source).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (!isFolder) return [source]
  const entries = await readdir(source, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && manifestFile.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort()
}

async function textOf(source: string): Promise<string> {
  if (!/^[a-z]+:\/\//.test(source)) return await readTextFile(source)
  const fail = (reason: string, cause?: unknown) =>
    new MeshError({
      code: 'MESH_MANIFEST_URL',
      kind: 'usage',
      message: `cannot read ${source}`,
      reason,
      ...(cause === undefined ? {} : { cause }),
    })
  if (!source.startsWith('https://')) throw fail('manifests are read over https only')
  const response = await fetch(source).catch((thrown: unknown) => {
    throw fail(messageOf(thrown), thrown)
  })
  if (!response.ok) throw fail(`the server answered ${response.status}`)
  return await response.text()
}

/**
 * The documents of a text; empty ones are left out.
 * @throws MeshError `MESH_MANIFEST_INVALID` with the place of the error
 */
export function parseManifest(text: string, source: string): ManifestDocument[] {
  const where = source === '-' ? 'standard input' : source
  const parsed = parseAllDocuments(text, { uniqueKeys: true })
  const documents = Array.isArray(parsed) ? parsed : []
  for (const document of documents) {
    const [problem] = document.errors
    if (problem !== undefined) throw invalid(where, problem.message.split('\n')[0] ?? '', problem)
    if (document.contents !== null && !isMap(document.contents) && document.toJS() !== null) {
      throw invalid(where, 'a document is not a Kubernetes object: it has no keys')
    }
  }
  for (const document of documents) sources.set(document, where)
  return documents.filter((document) => isMap(document.contents))
}

/** Where each document was read from, for errors. */
const sources = new WeakMap<ManifestDocument, string>()

function invalid(where: string, reason: string, cause?: unknown): MeshError {
  return new MeshError({
    code: 'MESH_MANIFEST_INVALID',
    kind: 'usage',
    message: `${where} is not a manifest`,
    reason,
    ...(cause === undefined ? {} : { cause }),
  })
}

/**
 * The objects of documents; those of a List one by one.
 * @throws MeshError `MESH_MANIFEST_INVALID` for an object without a kind
 */
export function objectsOf(documents: readonly ManifestDocument[]): ManifestObject[] {
  return documents.flatMap((document) => objectsAt(document, []))
}

function objectsAt(document: ManifestDocument, at: readonly (string | number)[]): ManifestObject[] {
  const kind = textAt(document, [...at, 'kind'])
  if (kind === undefined) throw invalid(sources.get(document) ?? 'the input', 'an object has no kind')
  const items: unknown = document.getIn([...at, 'items'])
  if (kind.endsWith('List') && isSeq(items)) {
    return items.items.flatMap((_, index) => objectsAt(document, [...at, 'items', index]))
  }
  const name =
    textAt(document, [...at, 'metadata', 'name']) ?? textAt(document, [...at, 'metadata', 'generateName'])
  return [
    { document, at, kind, name: name ?? '', namespace: textAt(document, [...at, 'metadata', 'namespace']) },
  ]
}

/**
 * The objects of documents as plain data, those of a List one by one.
 * @throws MeshError `MESH_MANIFEST_INVALID` for an object without a kind
 */
export function plainObjects(documents: readonly ManifestDocument[]): KubeObject[] {
  return objectsOf(documents).map(({ document, at }) => plainAt(document, at) as KubeObject)
}

/** The value at a place of a document as plain data. */
export function plainAt(document: ManifestDocument, at: readonly (string | number)[]): unknown {
  const node: unknown = at.length === 0 ? document.contents : document.getIn(at, true)
  if (node === undefined || node === null) return undefined
  return typeof node === 'object' && 'toJS' in node && typeof node.toJS === 'function'
    ? node.toJS(document)
    : node
}

/** The text at a place of a document, or nothing when something else is there. */
export function textAt(document: ManifestDocument, at: readonly (string | number)[]): string | undefined {
  const value: unknown = document.getIn(at)
  return typeof value === 'string' ? value : undefined
}

/** Documents as a stream; each is followed by `---`, as Linkerd does it. */
export function writeManifests(documents: readonly ManifestDocument[], format: 'yaml' | 'json'): string {
  if (format === 'json') {
    const objects = documents.map((document) => document.toJS() as object)
    const content = objects.length === 1 ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects }
    return `${JSON.stringify(content, undefined, 2)}\n`
  }
  return documents
    .map((document) => {
      document.directives.docStart = null
      document.directives.docEnd = false
      return `${document.toString({ lineWidth: 0, directives: false, flowCollectionPadding: false }).trimEnd()}\n---\n`
    })
    .join('')
}
