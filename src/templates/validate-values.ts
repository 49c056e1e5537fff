import type { ErrorObject } from 'ajv'
import { MeshError, type MeshErrorOptions } from '../runtime/shared/errors.ts'
import { nearest } from '../runtime/shared/nearest.ts'
import { defaultValues, type ResourceValues, type Values } from './values.ts'
import { schemaProblems } from './values-validator.ts'

/** One thing that is wrong with the values. */
interface Problem {
  code: MeshErrorOptions['code']
  /** Where, as `--set` names it: `proxy.ports.inbound`. */
  path: string
  reason: string
  suggestion?: string
}

/**
 * Values that may be used, or an error that names every wrong one with its path, the reason and the nearest known key.
 * @throws MeshError `MESH_VALUES_UNKNOWN_KEY`, `MESH_VALUES_WRONG_TYPE`, `MESH_VALUES_OUT_OF_RANGE` or
 * `MESH_VALUES_CONFLICT`, after the first problem
 */
export function validateValues(input: unknown): Values {
  const errors = schemaProblems(input)
  const problems =
    errors.length === 0 ? conflictsOf(input as Values) : errors.map((error) => problemOf(error, input))
  if (problems.length > 0) throw valuesError(problems)
  return input as Values
}

/** `/proxy/ports/inbound` as `proxy.ports.inbound`. */
function dotted(pointer: string, key?: string): string {
  const parts = pointer.split('/').slice(1)
  return [...parts, ...(key === undefined ? [] : [key])].join('.')
}

/** What is at a JSON pointer of a tree. The values have no key with a slash or a tilde. */
function at(tree: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .reduce<unknown>((below, key) => (below as Record<string, unknown> | null | undefined)?.[key], tree)
}

function problemOf(error: ErrorObject, input: unknown): Problem {
  const { params } = error
  const data = at(input, error.instancePath)
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(params.additionalProperty)
      const near = nearest(key, Object.keys(at(defaultValues, error.instancePath) ?? {}))
      return {
        code: 'MESH_VALUES_UNKNOWN_KEY',
        path: dotted(error.instancePath, key),
        reason: 'there is no such key',
        ...(near === undefined ? {} : { suggestion: dotted(error.instancePath, near) }),
      }
    }
    case 'required':
      return {
        code: 'MESH_VALUES_WRONG_TYPE',
        path: dotted(error.instancePath, String(params.missingProperty)),
        reason: 'it must be given',
      }
    case 'type':
      return {
        code: 'MESH_VALUES_WRONG_TYPE',
        path: dotted(error.instancePath),
        reason: `${show(data)} is not of type ${params.type}`,
      }
    case 'enum': {
      const allowed = (params.allowedValues as unknown[]).map(String)
      const near = nearest(String(data), allowed)
      return {
        code: 'MESH_VALUES_OUT_OF_RANGE',
        path: dotted(error.instancePath),
        reason: `${show(data)} is none of ${allowed.filter(Boolean).join(', ')}`,
        ...(near === undefined || near === '' ? {} : { suggestion: near }),
      }
    }
    default:
      return {
        code: 'MESH_VALUES_OUT_OF_RANGE',
        path: dotted(error.instancePath),
        reason: `${show(data)} ${error.message ?? 'is not valid'}`,
      }
  }
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/** What no schema can say: ranges of lists, and values that contradict each other. */
function conflictsOf(values: Values): Problem[] {
  const { ports } = values.proxy
  const problems: Problem[] = []
  for (const path of ['opaquePorts', 'skipInboundPorts', 'skipOutboundPorts'] as const) {
    const wrong = values.proxy[path].split(',').find((item) => item !== '' && !isPortRange(item))
    if (wrong !== undefined) {
      problems.push({
        code: 'MESH_VALUES_OUT_OF_RANGE',
        path: `proxy.${path}`,
        reason: `${show(wrong)} is not a port from 1 to 65535, or a range of them`,
      })
    }
  }
  if (new Set(Object.values(ports)).size < Object.keys(ports).length) {
    problems.push({
      code: 'MESH_VALUES_CONFLICT',
      path: 'proxy.ports',
      reason: `each port must be another; given: ${Object.entries(ports)
        .map(([name, port]) => `${name} ${port}`)
        .join(', ')}`,
    })
  }
  return [
    ...problems,
    ...limitConflicts('proxy.resources', values.proxy.resources),
    ...limitConflicts('controllerResources', values.controllerResources),
  ]
}

function isPortRange(item: string): boolean {
  const [first = 0, last = first] = item.split('-').map(Number)
  return first >= 1 && last <= 65_535 && first <= last
}

function limitConflicts(path: string, resources: ResourceValues): Problem[] {
  return (['cpu', 'memory'] as const).flatMap((kind) => {
    const { request, limit } = resources[kind]
    if (request === '' || limit === '' || quantity(limit) >= quantity(request)) return []
    return [
      {
        code: 'MESH_VALUES_CONFLICT' as const,
        path: `${path}.${kind}`,
        reason: `the limit ${limit} is below the request ${request}`,
      },
    ]
  })
}

const suffixes: Record<string, number> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
}

/** A Kubernetes quantity as a number. */
function quantity(text: string): number {
  const match = /^([0-9.]+)([A-Za-z]*)$/.exec(text)
  return Number(match?.[1]) * (suffixes[match?.[2] ?? ''] ?? 1)
}

function valuesError(problems: readonly Problem[]): MeshError {
  const [first] = problems
  const lines = problems.map((problem) => `${problem.path}: ${problem.reason}`)
  const suggestions = problems.flatMap(({ suggestion }) =>
    suggestion === undefined ? [] : [`Did you mean ${suggestion}?`],
  )
  return new MeshError({
    code: first?.code ?? 'MESH_VALUES_OUT_OF_RANGE',
    kind: 'usage',
    message: lines.length === 1 ? `the value ${lines[0]}` : `${lines.length} values are wrong`,
    ...(lines.length === 1 ? {} : { reason: lines.join('; ') }),
    next: [...suggestions, 'Show every key with: mesh install --show-values'],
  })
}
