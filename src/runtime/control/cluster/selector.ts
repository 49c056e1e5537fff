/** `metav1.LabelSelector`. Absent or empty selects everything. */
export interface LabelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

/** Whether the labels satisfy the selector. An operator that is not known selects nothing. */
export function selectorMatches(
  selector: LabelSelector | undefined,
  labels: Record<string, string>,
): boolean {
  const isEqual = Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value)
  return isEqual && (selector?.matchExpressions ?? []).every((expression) => holds(expression, labels))
}

function holds(
  expression: { key: string; operator: string; values?: string[] },
  labels: Record<string, string>,
): boolean {
  const value = labels[expression.key]
  const values = expression.values ?? []
  switch (expression.operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    default:
      return false
  }
}
