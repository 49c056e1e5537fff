import { isIP } from 'node:net'
import type { ProxyValues } from '../../../templates/values.ts'
import { durationMsOf } from '../duration.ts'
import { formatPorts, parsePortList } from './port-list.ts'
import { quantityOf } from './quantity.ts'

/** What annotations have decided so far; each writes its part. */
export interface Settings {
  proxy: ProxyValues
  /** Variables of the proxy's container that the template has no field for. Given names win over the template's. */
  env: EnvironmentVariable[]
  requireIdentityInboundPorts: string
  ephemeralStorage: { request: string; limit: string }
  /** Whether the containers of the pod wait for the proxy. */
  isAwaited: boolean
  debug: { isWanted: boolean; image: string; version: string; pullPolicy: string }
  /** Told to whoever creates the pod. */
  warnings: string[]
}

/** `v1` EnvVar. */
export type EnvironmentVariable = { name: string; value: string } | { name: string; valueFrom: object }

export interface SettingsContext {
  clusterDomain: string
  /** TCP ports of the pod by their names. */
  namedPorts: ReadonlyMap<string, number>
}

/** How one annotation is read. */
export interface AnnotationRule {
  /** Whether pods take it from their namespace. */
  isInherited: boolean
  /** Writes the value into the settings, or says what is wrong with it. */
  apply: (value: string, settings: Settings, context: SettingsContext) => string | undefined
}

export type Apply = AnnotationRule['apply']

export function inherited(apply: Apply): AnnotationRule {
  return { isInherited: true, apply }
}

export function own(apply: Apply): AnnotationRule {
  return { isInherited: false, apply }
}

export function oneOf(allowed: readonly string[], write: (settings: Settings, value: string) => void): Apply {
  return (value, settings) => {
    if (!allowed.includes(value)) return `it is one of ${allowed.join(', ')}`
    write(settings, value)
    return undefined
  }
}

export function flag(write: (settings: Settings, isOn: boolean, context: SettingsContext) => void): Apply {
  return (value, settings, context) => {
    // The words that Go's ParseBool takes.
    const isOn = /^(1|t|T|true|TRUE|True)$/.test(value)
    if (!isOn && !/^(0|f|F|false|FALSE|False)$/.test(value)) return 'it is true or false'
    write(settings, isOn, context)
    return undefined
  }
}

export function matching(
  pattern: RegExp,
  problem: string,
  write: (settings: Settings, value: string) => void,
): Apply {
  return (value, settings) => {
    if (!pattern.test(value)) return problem
    write(settings, value)
    return undefined
  }
}

export function wholeNumber(
  from: number,
  to: number,
  write: (settings: Settings, value: number) => void,
): Apply {
  return (value, settings) => {
    const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN
    if (!(number >= from && number <= to)) return `it is a whole number from ${from} to ${to}`
    write(settings, number)
    return undefined
  }
}

export const port = (write: (settings: Settings, value: number) => void) => wholeNumber(1, 65_535, write)

export function ports(write: (settings: Settings, value: string) => void, areNamesTaken = false): Apply {
  return (value, settings, { namedPorts }) => {
    const parsed = areNamesTaken ? parsePortList(value, namedPorts) : parsePortList(value)
    if (parsed.kind === 'problem') return parsed.problem
    write(settings, formatPorts(parsed.ranges))
    return undefined
  }
}

/** Durations reach the proxy as one number and one unit. */
export function duration(write: (settings: Settings, value: string) => void): Apply {
  return (value, settings) => {
    const text = value.trim()
    const ms = durationMsOf(text)
    if (ms === undefined) return 'it is a duration such as 500ms, 10s or 2m'
    write(settings, /^\d+(ms|s|m|h|d)$/.test(text) ? text : `${Math.round(ms)}ms`)
    return undefined
  }
}

export function quantity(write: (settings: Settings, value: string) => void): Apply {
  return (value, settings) => {
    if (quantityOf(value) === undefined) return 'it is a quantity such as 100m, 0.5, 64Mi or 1Gi'
    write(settings, value)
    return undefined
  }
}

/** Understood, and not needed by this proxy: the value is checked, and a warning says that it does nothing. */
export function needless(check: Apply, name: string, why: string): Apply {
  return (value, settings, context) => {
    const problem = check(value, settings, context)
    if (problem === undefined) settings.warnings.push(`${name} has no effect: ${why}`)
    return problem
  }
}

export const ignored: Apply = () => undefined

export function setEnv(settings: Settings, variable: EnvironmentVariable): void {
  settings.env = [...settings.env.filter(({ name }) => name !== variable.name), variable]
}

export const additionalEnvironment: Apply = (value, settings) => {
  let list: unknown
  try {
    list = JSON.parse(value)
  } catch {
    return 'it is not JSON'
  }
  if (!Array.isArray(list)) return 'it is not a JSON list of {"name": …, "value": …}'
  for (const item of list as Record<string, unknown>[]) {
    const name = item?.name
    if (typeof name !== 'string' || !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
      return `"${String(name)}" is no name of a variable`
    }
    if (typeof item.value === 'string') setEnv(settings, { name, value: item.value })
    else if (typeof item.valueFrom === 'object' && item.valueFrom !== null) {
      setEnv(settings, { name, valueFrom: item.valueFrom })
    } else return `${name} has neither a value that is text nor a valueFrom`
  }
  return undefined
}

export const subnets: Apply = (value, settings) => {
  const items = value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
  const wrong = items.find((item) => !isSubnet(item))
  if (wrong !== undefined) return `"${wrong}" is no network such as 10.0.0.0/8`
  settings.proxy.skipSubnets = items.join(',')
  return undefined
}

function isSubnet(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/')
  const family = isIP(address)
  return (
    family !== 0 &&
    rest.length === 0 &&
    /^\d{1,3}$/.test(length) &&
    Number(length) <= (family === 4 ? 32 : 128)
  )
}
