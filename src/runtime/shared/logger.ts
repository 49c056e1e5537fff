import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/**
 * Structured logs on standard error, one JSON object a line.
 * @param component value of the field `component`
 * @param level `trace`, `debug`, `info`, `warn`, `error` or `silent`
 */
export function createLogger(component: string, level = 'info'): Logger {
  return pino(
    {
      level,
      base: { component },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}
