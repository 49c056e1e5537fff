import { MeshError } from '../shared/errors.ts'
import { configAnnotationPrefix } from '../shared/labels.ts'

/** Flags of `inject` that become annotations of the same meaning, by the annotation's name. */
const annotationOfFlag: Readonly<Record<string, string>> = {
  'proxy-image': 'proxy-image',
  'proxy-version': 'proxy-version',
  'image-pull-policy': 'image-pull-policy',
  'inbound-port': 'inbound-port',
  'outbound-port': 'outbound-port',
  'admin-port': 'admin-port',
  'control-port': 'control-port',
  'skip-inbound-ports': 'skip-inbound-ports',
  'skip-outbound-ports': 'skip-outbound-ports',
  'opaque-ports': 'opaque-ports',
  'proxy-uid': 'proxy-uid',
  'proxy-gid': 'proxy-gid',
  'proxy-log-level': 'proxy-log-level',
  'proxy-cpu-request': 'proxy-cpu-request',
  'proxy-cpu-limit': 'proxy-cpu-limit',
  'proxy-memory-request': 'proxy-memory-request',
  'proxy-memory-limit': 'proxy-memory-limit',
  'default-inbound-policy': 'default-inbound-policy',
}

/** Annotations of `config.linkerd.io/`, from the flags of `inject` that were given. */
export function configAnnotations(flags: Readonly<Record<string, unknown>>): Record<string, string> {
  const given = Object.entries(annotationOfFlag).flatMap(([flag, annotation]) => {
    const value = flags[flag]
    return value === undefined ? [] : [[configAnnotationPrefix + annotation, String(value)] as const]
  })
  return Object.fromEntries(given)
}

/**
 * The `--set`-like list of ports of a flag, checked.
 * @throws MeshError `MESH_USAGE_INVALID_VALUE`
 */
export function checkPorts(flag: string, value: string | undefined): void {
  if (value === undefined || value === '') return
  for (const item of value.split(',')) {
    const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(item.trim())
    const first = Number(match?.[1])
    const last = Number(match?.[2] ?? match?.[1])
    if (match === null || first < 1 || last > 65_535 || first > last) {
      throw new MeshError({
        code: 'MESH_USAGE_INVALID_VALUE',
        kind: 'usage',
        message: `--${flag}: ${JSON.stringify(item)} is not a port from 1 to 65535, or a range of them`,
        next: [`Write a list such as --${flag}=25,587,8000-8010`],
      })
    }
  }
}
