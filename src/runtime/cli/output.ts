import { stringify } from 'yaml'
import { printable, unsafeCharacters } from '../shared/printable.ts'

export { printable } from '../shared/printable.ts'

/** How a command shows its result. */
export type OutputFormat = 'table' | 'wide' | 'json' | 'yaml'

/** One column of a table. */
export interface Column<Row> {
  header: string
  value: (row: Row) => string | number
  align?: 'left' | 'right'
  /** Shown with `-o wide` only. */
  wide?: boolean
}

/** Where text goes; `process.stdout` is one. */
export interface TextStream {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
}

/** Tables of Linkerd are right-aligned, three spaces apart. */
const gutter = '   '

/** One cell: printable, on one line. */
function cell(value: string | number): string {
  return printable(String(value))
    .replace(/\s*\n\s*/g, ' ')
    .replaceAll('\t', ' ')
}

/**
 * Rows as aligned text, with a header line and a newline after each line.
 * @param options.align of the columns that do not say; Linkerd's statistics are right-aligned
 */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  options: { wide?: boolean; align?: 'left' | 'right'; gutter?: string } = {},
): string {
  const shown = columns.filter((column) => options.wide === true || column.wide !== true)
  const lines = [
    shown.map((column) => column.header),
    ...rows.map((row) => shown.map((c) => cell(c.value(row)))),
  ]
  const widths = shown.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)))
  return lines
    .map((line) => {
      const cells = line.map((text, index) => {
        const width = widths[index] ?? 0
        const align = shown[index]?.align ?? options.align ?? 'right'
        return align === 'right' ? text.padStart(width) : text.padEnd(width)
      })
      return `${cells.join(options.gutter ?? gutter).trimEnd()}\n`
    })
    .join('')
}

/** JSON with two spaces and a final newline; characters that drive terminals are escaped. */
export function renderJson(value: unknown): string {
  const text = JSON.stringify(value, undefined, 2).replace(
    unsafeCharacters,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return `${text}\n`
}

/** One YAML document with a final newline. */
export function renderYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })
}

/**
 * The two streams of a command. Data goes to standard output and nothing else does; notes, progress and warnings go
 * to standard error.
 */
export class Output {
  readonly stdout: TextStream
  readonly stderr: TextStream
  /** Whether notes may be coloured. */
  readonly colour: boolean

  constructor(stdout: TextStream, stderr: TextStream, noColour: boolean) {
    this.stdout = stdout
    this.stderr = stderr
    this.colour = !noColour && stdout.isTTY === true
  }

  /** Writes text as it is to standard output. */
  data(text: string): void {
    this.stdout.write(text)
  }

  /** Writes one line to standard error. */
  note(line = ''): void {
    this.stderr.write(`${line}\n`)
  }

  json(value: unknown): void {
    this.data(renderJson(value))
  }

  yaml(value: unknown): void {
    this.data(renderYaml(value))
  }

  /** Rows in the format asked for; `value` is what `json` and `yaml` show. */
  rows<Row>(
    format: OutputFormat,
    columns: readonly Column<Row>[],
    rows: readonly Row[],
    options: { value?: unknown; align?: 'left' | 'right' } = {},
  ): void {
    const align = options.align === undefined ? {} : { align: options.align }
    switch (format) {
      case 'json':
        this.json(options.value ?? rows)
        break
      case 'yaml':
        this.yaml(options.value ?? rows)
        break
      case 'table':
      case 'wide':
        this.data(renderTable(columns, rows, { wide: format === 'wide', ...align }))
        break
    }
  }
}

/** ANSI colour when the output may have it. */
export function paint(
  text: string,
  colour: 'red' | 'green' | 'yellow' | 'bold' | 'dim',
  enabled: boolean,
): string {
  const codes = { red: '31', green: '32', yellow: '33', bold: '1', dim: '2' } as const
  return enabled ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text
}
