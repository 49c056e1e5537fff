import { parseDocument } from 'yaml'
import { validateValues } from '../../templates/validate-values.ts'
import { defaultValues, type Values } from '../../templates/values.ts'
import { MeshError, messageOf } from '../shared/errors.ts'
import { nearest } from '../shared/nearest.ts'
import { type Assignment, parseAssignments } from './set-grammar.ts'

/** What the command line says about values; later fields win over earlier ones. */
export interface ValueInputs {
  /** What earlier releases were told: the base of an upgrade. */
  stored?: unknown
  /** Three replicas, spread out, with resources. */
  ha?: boolean
  /** Paths of YAML files, `-` for standard input. */
  files?: readonly string[]
  set?: readonly string[]
  setString?: readonly string[]
  /** The value of each is a path. */
  setFile?: readonly string[]
  /** Replaces the registry of both images. */
  registry?: string
  /** From flags that have a name of their own. */
  assignments?: readonly Assignment[]
}

/** Reads a file, or standard input for `-`. */
export type ReadText = (path: string) => Promise<string>

type Tree = Record<string, unknown>

/** What `--ha` means. */
const highAvailability: Tree = {
  highAvailability: true,
  controllerReplicas: 3,
  webhookFailurePolicy: 'Fail',
  controllerResources: { cpu: { request: '100m' }, memory: { request: '50Mi', limit: '250Mi' } },
  proxy: { resources: { cpu: { request: '100m' }, memory: { request: '20Mi', limit: '250Mi' } } },
}

/**
 * The values of an installation, from every source, checked.
 * @throws MeshError `MESH_VALUES_*`
 */
export async function resolveValues(inputs: ValueInputs, readText: ReadText): Promise<Values> {
  let tree = structuredClone(defaultValues) as unknown as Tree
  const given = new Set<string>()
  const overlay = (layer: Tree) => {
    for (const key of Object.keys(layer)) given.add(key)
    tree = merge(tree, layer)
  }
  if (inputs.stored !== undefined) overlay(asTree(inputs.stored, 'the stored values'))
  if (inputs.ha === true) overlay(highAvailability)
  for (const file of inputs.files ?? []) overlay(await readValuesFile(file, readText))
  for (const assignment of await assignmentsOf(inputs, readText)) {
    given.add(String(assignment.path[0]))
    assign(tree, assignment)
  }
  if (!given.has('identityTrustDomain')) tree.identityTrustDomain = tree.clusterDomain
  return validateValues(tree)
}

async function assignmentsOf(inputs: ValueInputs, readText: ReadText): Promise<Assignment[]> {
  const assignments = (inputs.set ?? []).flatMap((expression) => parseAssignments(expression, 'typed'))
  assignments.push(...(inputs.setString ?? []).flatMap((expression) => parseAssignments(expression, 'text')))
  for (const expression of inputs.setFile ?? []) {
    for (const { path, value } of parseAssignments(expression, 'text')) {
      assignments.push({ path, value: await readFileFor(String(value), readText) })
    }
  }
  if (inputs.registry !== undefined) {
    const registry = inputs.registry.replace(/\/+$/, '')
    assignments.push({ path: ['controllerImage', 'name'], value: `${registry}/controller` })
    assignments.push({ path: ['proxy', 'image', 'name'], value: `${registry}/proxy` })
  }
  return [...assignments, ...(inputs.assignments ?? [])]
}

async function readFileFor(path: string, readText: ReadText): Promise<string> {
  try {
    return await readText(path)
  } catch (thrown) {
    throw fileError(path, messageOf(thrown), thrown)
  }
}

async function readValuesFile(path: string, readText: ReadText): Promise<Tree> {
  const document = parseDocument(await readFileFor(path, readText), { uniqueKeys: true })
  const problem = document.errors[0]
  if (problem !== undefined) throw fileError(path, problem.message.split('\n')[0] ?? problem.message, problem)
  const content: unknown = document.toJS()
  return content === null || content === undefined ? {} : asTree(content, path)
}

function asTree(content: unknown, source: string): Tree {
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content as Tree
  throw fileError(source, 'it does not hold keys and values')
}

function fileError(path: string, reason: string, cause?: unknown): MeshError {
  return new MeshError({
    code: 'MESH_VALUES_FILE',
    kind: 'usage',
    message: `cannot read values from ${path === '-' ? 'standard input' : path}`,
    reason,
    ...(cause === undefined ? {} : { cause }),
  })
}

/** Deep merge of maps; everything else is replaced. `null` removes nothing: every value has its type. */
function merge(base: Tree, layer: Tree): Tree {
  const result: Tree = { ...base }
  for (const [key, value] of Object.entries(layer)) {
    refusePrototype(key)
    const before = result[key]
    result[key] = isTree(before) && isTree(value) ? merge(before, value) : value
  }
  return result
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refusePrototype(key: string): void {
  if (key === '__proto__' || key === 'constructor' || key === 'prototype') {
    throw new MeshError({
      code: 'MESH_VALUES_UNKNOWN_KEY',
      kind: 'usage',
      message: `there is no value ${key}`,
    })
  }
}

/** Sets one value, making maps and lists on the way. */
function assign(tree: Tree, { path, value }: Assignment): void {
  let target: Tree = tree
  for (const [index, part] of path.entries()) {
    refusePrototype(String(part))
    if (index === path.length - 1) {
      target[part] = value
      return
    }
    const next = target[part]
    if (typeof next !== 'object' || next === null) {
      if (next !== undefined) throw notAMap(path.slice(0, index + 1))
      if (index === 0) throw unknownKey(String(part), tree)
      target[part] = typeof path[index + 1] === 'number' ? [] : {}
    }
    target = target[part] as Tree
  }
}

function notAMap(path: readonly (string | number)[]): MeshError {
  return new MeshError({
    code: 'MESH_VALUES_UNKNOWN_KEY',
    kind: 'usage',
    message: `the value ${path.join('.')} has no keys below it`,
  })
}

function unknownKey(key: string, tree: Tree): MeshError {
  const near = nearest(key, Object.keys(tree))
  return new MeshError({
    code: 'MESH_VALUES_UNKNOWN_KEY',
    kind: 'usage',
    message: `the value ${key}: there is no such key`,
    next: near === undefined ? [] : [`Did you mean ${near}?`],
  })
}
