import { stringify } from 'yaml'

/**
 * One YAML document. Strings that YAML 1.1 would read as something else (`no`, `0x1`, `12:30`) are quoted, because
 * `kubectl` reads YAML 1.1.
 */
export function yamlText(value: unknown): string {
  return stringify(value, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false, directives: false })
}

/** A stream of YAML documents: each begins with `---`. */
export function yamlStream(documents: readonly unknown[]): string {
  return documents.map((document) => `---\n${yamlText(document)}`).join('')
}
