import { readFileSync, writeFileSync } from 'node:fs'
import { MeshError, messageOf } from '../shared/errors.ts'
import type { ProgramPaths } from './paths.ts'

/** What an image name stands for on this machine. */
export interface ImageEntry {
  /** The command; empty when the container has to name its own. */
  argv: string[]
  env?: Record<string, string>
}

/** By image name without tag and digest. */
export type ImageTable = Record<string, ImageEntry>

/** The images that every local cluster has. */
export function builtinImages(programs: ProgramPaths, node: string): ImageTable {
  return {
    'localhost/host': { argv: [] },
    'localhost/mesh/controller': { argv: [node, programs.controller] },
    'localhost/mesh/proxy': { argv: [programs.proxy] },
    'localhost/mesh/shop': { argv: [node, programs.shop] },
  }
}

/** An image reference without its tag and digest: `a/b:1@sha256:…` is `a/b`. */
export function imageRepository(image: string): string {
  const named = image.split('@', 1)[0] ?? image
  const colon = named.lastIndexOf(':')
  return colon > named.lastIndexOf('/') ? named.slice(0, colon) : named
}

/**
 * Parses `NAME=COMMAND`. The command is split at spaces; quotes and backslashes work as in a shell.
 * @throws MeshError MESH_LOCAL_IMAGE
 */
export function parseImageFlag(flag: string): [name: string, entry: ImageEntry] {
  const equals = flag.indexOf('=')
  const name = imageRepository(flag.slice(0, equals).trim())
  const argv = equals === -1 ? undefined : splitCommand(flag.slice(equals + 1))
  if (name === '' || argv === undefined || argv.length === 0) {
    throw new MeshError({
      code: 'MESH_LOCAL_IMAGE',
      kind: 'usage',
      message: `'${flag}' does not say which command an image stands for`,
      next: ["Write NAME=COMMAND, such as --image 'web=/usr/bin/python3 -m http.server 8080'"],
    })
  }
  return [name, { argv }]
}

/** Words of a command line, or undefined when a quote is not closed. */
function splitCommand(text: string): string[] | undefined {
  const words: string[] = []
  const pattern = /\s+|((?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+)/gsy
  let position = 0
  while (position < text.length) {
    pattern.lastIndex = position
    const match = pattern.exec(text)
    if (match === null) return undefined
    position = pattern.lastIndex
    if (match[1] !== undefined) words.push(unquote(match[1]))
  }
  return words
}

function unquote(word: string): string {
  return word.replace(
    /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/gs,
    (_, single?: string, double?: string, escaped?: string) =>
      single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? '',
  )
}

/**
 * Reads a table from its file.
 * @throws MeshError MESH_LOCAL_IMAGES_FILE when it is not a table
 */
export function readImages(path: string): ImageTable {
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw imagesFileError(path, messageOf(error))
  }
  if (!isImageTable(parsed)) throw imagesFileError(path, 'an entry is not {"argv": ["…"]}')
  return parsed
}

/** Writes a table so that a person can edit it. */
export function writeImages(path: string, table: ImageTable): void {
  writeFileSync(path, `${JSON.stringify(table, undefined, 2)}\n`)
}

function isImageTable(value: unknown): value is ImageTable {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return false
    const { argv, env } = entry as { argv?: unknown; env?: unknown }
    const hasArgv = Array.isArray(argv) && argv.every((word) => typeof word === 'string')
    return hasArgv && (env === undefined || (typeof env === 'object' && env !== null))
  })
}

function imagesFileError(path: string, reason: string): MeshError {
  return new MeshError({
    code: 'MESH_LOCAL_IMAGES_FILE',
    kind: 'usage',
    message: `The image table ${path} cannot be read`,
    reason,
    next: ['Correct the file, or run: mesh local stop && mesh local start'],
  })
}
