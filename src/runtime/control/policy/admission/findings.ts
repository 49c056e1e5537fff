/** What a review finds: what an object is refused for, and what is legal but surely not meant. Each names its field. */
export class Findings {
  readonly problems: string[] = []
  readonly warnings: string[] = []

  refuse(field: string, message: string): void {
    this.problems.push(`${field}: ${message}`)
  }

  warn(field: string, message: string): void {
    this.warnings.push(`${field}: ${message}`)
  }
}

/** Whether a value is an object with fields. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
