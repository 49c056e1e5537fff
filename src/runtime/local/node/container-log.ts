import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { type Clock, systemClock } from '../../shared/clock.ts'
import type { PodLogOptions } from '../apiserver/types.ts'

/** A file that grows beyond this is set aside once; what was set aside before is dropped. */
const rotateBytes = 10 * 1024 * 1024
/** A line longer than this is written in parts. */
const longestLine = 16 * 1024

type Stream = 'stdout' | 'stderr'

/** Lines that were written, in the form of the file. */
type Listener = (lines: string[]) => void

/**
 * The log of one run of a container, in the format of the Container Runtime Interface: time, stream, `F` for a whole
 * line or `P` for a part of one, text.
 */
export class ContainerLog {
  readonly path: string
  readonly #clock: Clock
  readonly #listeners = new Set<Listener>()
  readonly #whenClosed = new Set<() => void>()
  #descriptor: number
  #bytes = 0
  #isOpen = true

  constructor(path: string, clock: Clock = systemClock) {
    this.path = path
    this.#clock = clock
    mkdirSync(dirname(path), { recursive: true })
    this.#descriptor = openSync(path, 'w', 0o600)
  }

  /** Copies what a process writes. */
  attach(name: Stream, readable: Readable): void {
    const splitter = new LineSplitter((text, isWhole) => this.#write(name, text, isWhole))
    readable.setEncoding('utf8')
    readable.on('data', (text: string) => splitter.push(text))
    readable.on('close', () => splitter.end())
    readable.on('error', () => undefined)
  }

  /** No more will be written. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    closeSync(this.#descriptor)
    for (const callback of this.#whenClosed) callback()
    this.#listeners.clear()
  }

  /** Removes the files. */
  remove(): void {
    this.close()
    for (const path of [this.path, rotated(this.path)]) rmSync(path, { force: true })
  }

  /** The last bytes of text, for a container's termination message. */
  tail(maxBytes: number, maxLines: number): string {
    const text = readLines(this.path).map(textOf).join('')
    const lines = text.split('\n').slice(-maxLines - 1)
    return lines.join('\n').slice(-maxBytes)
  }

  async *read(options: PodLogOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const queue: string[] = []
    let wake = (): void => undefined
    const listener: Listener = (lines) => {
      queue.push(...lines)
      wake()
    }
    const limit = new ByteLimit(options.limitBytes)
    const earliest = earliestTime(options, this.#clock.nowMs())
    const past = readLines(this.path).filter((line) => line.slice(0, line.indexOf(' ')) >= earliest)
    if (options.follow && this.#isOpen) this.#listeners.add(listener)
    const onEnd = () => wake()
    options.signal.addEventListener('abort', onEnd)
    this.#whenClosed.add(onEnd)
    try {
      yield* limit.pass(lastLines(past, options.tailLines), options.timestamps)
      while (options.follow && !options.signal.aborted && !limit.isReached) {
        if (queue.length > 0) yield* limit.pass(queue.splice(0), options.timestamps)
        else if (!this.#isOpen) return
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      options.signal.removeEventListener('abort', onEnd)
      this.#whenClosed.delete(onEnd)
      this.#listeners.delete(listener)
    }
  }

  #write(name: Stream, text: string, isWhole: boolean): void {
    if (!this.#isOpen) return
    const line = `${new Date(this.#clock.nowMs()).toISOString()} ${name} ${isWhole ? 'F' : 'P'} ${text}\n`
    if (this.#bytes > rotateBytes) this.#rotate()
    this.#bytes += writeSync(this.#descriptor, line)
    for (const listener of this.#listeners) listener([line])
  }

  #rotate(): void {
    closeSync(this.#descriptor)
    renameSync(this.path, rotated(this.path))
    this.#descriptor = openSync(this.path, 'w', 0o600)
    this.#bytes = 0
  }
}

function rotated(path: string): string {
  return `${path}.old`
}

/** Cuts text into lines; a line that is too long, or that the end cuts off, comes in parts. */
class LineSplitter {
  readonly #emit: (text: string, isWhole: boolean) => void
  #pending = ''

  constructor(emit: (text: string, isWhole: boolean) => void) {
    this.#emit = emit
  }

  push(text: string): void {
    const lines = (this.#pending + text).split('\n')
    this.#pending = lines.pop() ?? ''
    for (const line of lines) this.#emit(this.#cut(line), true)
    this.#pending = this.#cut(this.#pending)
  }

  end(): void {
    if (this.#pending !== '') this.#emit(this.#pending, false)
    this.#pending = ''
  }

  #cut(line: string): string {
    let rest = line
    for (; rest.length > longestLine; rest = rest.slice(longestLine)) {
      this.#emit(rest.slice(0, longestLine), false)
    }
    return rest
  }
}

/** Lines of a log as they are in its files, with their line ends. */
function readLines(path: string): string[] {
  return [rotated(path), path].filter(existsSync).flatMap((file) => {
    const lines = readFileSync(file, 'utf8').split('\n')
    return lines.slice(0, -1).map((line) => `${line}\n`)
  })
}

/** The last lines, with the parts that belong to them; the very last one may have no end yet. */
function lastLines(lines: string[], count: number | undefined): string[] {
  if (count === undefined) return lines
  let start = lines.length
  for (let found = 0; start > 0; start--) {
    const isNew = start === lines.length || lines[start - 1]?.split(' ', 3)[2] === 'F'
    if (isNew && found++ === count) break
  }
  return lines.slice(start)
}

function earliestTime({ sinceSeconds, sinceTime }: PodLogOptions, nowMs: number): string {
  if (sinceSeconds !== undefined) return new Date(nowMs - sinceSeconds * 1000).toISOString()
  return sinceTime === undefined ? '' : new Date(sinceTime).toISOString()
}

/** What the process wrote, without the fields before it. */
function textOf(line: string): string {
  const [time = '', stream = '', part = ''] = line.split(' ', 3)
  const text = line.slice(time.length + stream.length + part.length + 3)
  return part === 'P' ? text.slice(0, -1) : text
}

function formatLine(line: string, hasTimestamps: boolean): string {
  return hasTimestamps ? `${line.slice(0, line.indexOf(' '))} ${textOf(line)}` : textOf(line)
}

/** Lets a number of bytes through. */
class ByteLimit {
  #left: number

  constructor(limit: number | undefined) {
    this.#left = limit ?? Number.POSITIVE_INFINITY
  }

  get isReached(): boolean {
    return this.#left <= 0
  }

  *pass(lines: string[], hasTimestamps: boolean): Generator<Uint8Array, void, undefined> {
    if (lines.length === 0 || this.isReached) return
    const bytes = Buffer.from(lines.map((line) => formatLine(line, hasTimestamps)).join(''))
    yield bytes.subarray(0, Math.min(bytes.length, this.#left))
    this.#left -= bytes.length
  }
}
