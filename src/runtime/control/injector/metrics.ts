import { Counter, type Registry } from 'prom-client'
import { annotationTable } from './annotation-table.ts'

/** Labels of one admission. */
export interface AdmissionLabels {
  ownerKind: string
  namespace: string
  annotationAt: string
  /** Names of the annotations that the pod has. */
  present: readonly string[]
}

/** Counts admissions, by the names that Linkerd's dashboards read. */
export class InjectionMetrics {
  readonly #requests: Counter
  readonly #responses: Counter

  constructor(registry: Registry) {
    const common = [
      'owner_kind',
      'namespace',
      'annotation_at',
      ...new Set(Object.keys(annotationTable).map(labelOf)),
    ]
    this.#requests = new Counter({
      name: 'proxy_inject_admission_requests_total',
      help: 'Pods that were asked about',
      labelNames: common,
      registers: [registry],
    })
    this.#responses = new Counter({
      name: 'proxy_inject_admission_responses_total',
      help: 'Pods that were answered for, and why they got no proxy',
      labelNames: [...common, 'skip', 'skip_reason'],
      registers: [registry],
    })
  }

  request(labels: AdmissionLabels): void {
    this.#requests.inc(valuesOf(labels))
  }

  /** @param skipReason empty when a proxy was added */
  response(labels: AdmissionLabels, skipReason: string): void {
    this.#responses.inc({ ...valuesOf(labels), skip: String(skipReason !== ''), skip_reason: skipReason })
  }
}

function labelOf(annotation: string): string {
  return annotation.replace(/^.*\//, '').replaceAll('-', '_')
}

/** Of each annotation only whether it is there: values are free text, and series would be without bound. */
function valuesOf({ ownerKind, namespace, annotationAt, present }: AdmissionLabels): Record<string, string> {
  const known = present.filter((name) => annotationTable[name] !== undefined)
  return {
    owner_kind: ownerKind.toLowerCase(),
    namespace,
    annotation_at: annotationAt,
    ...Object.fromEntries(known.map((name) => [labelOf(name), 'true'])),
  }
}
