import { isDeepStrictEqual } from 'node:util'
import { type Observer, Topic } from './reactive.ts'

/** Topics by key, made when somebody reads a key and dropped when nobody does any more. */
class Topics {
  readonly #topics = new Map<string, Topic>()

  observe(key: string, observer: Observer): void {
    let topic = this.#topics.get(key)
    if (topic === undefined) {
      topic = new Topic(() => this.#topics.delete(key))
      this.#topics.set(key, topic)
    }
    topic.observe(observer)
  }

  changed(key: string): void {
    this.#topics.get(key)?.changed()
  }
}

/** Rows by something that they hold, such as pods by address. */
export class Index<T> {
  readonly #keysOf: (row: T) => readonly string[]
  readonly #rows = new Map<string, Map<string, T>>()
  readonly #topics = new Topics()

  constructor(keysOf: (row: T) => readonly string[]) {
    this.#keysOf = keysOf
  }

  /** The rows with this key; the observer hears of every change of one of them, of a new one and of a lost one. */
  rows(key: string, observer: Observer): readonly T[] {
    this.#topics.observe(key, observer)
    const rows = this.#rows.get(key)
    return rows === undefined ? [] : [...rows.values()]
  }

  /** Called by the table. */
  move(id: string, from: T | undefined, to: T | undefined): void {
    const formerKeys = from === undefined ? [] : this.#keysOf(from)
    const keys = to === undefined ? [] : this.#keysOf(to)
    for (const key of formerKeys) {
      if (keys.includes(key)) continue
      const rows = this.#rows.get(key)
      rows?.delete(id)
      if (rows?.size === 0) this.#rows.delete(key)
    }
    if (to !== undefined) for (const key of keys) this.#put(key, id, to)
    for (const key of new Set([...formerKeys, ...keys])) this.#topics.changed(key)
  }

  #put(key: string, id: string, row: T): void {
    const rows = this.#rows.get(key)
    if (rows === undefined) this.#rows.set(key, new Map([[id, row]]))
    else rows.set(id, row)
  }
}

/** What is known of one kind of object, by id, with indexes. Readers hear only of rows that they read. */
export class Table<T> {
  readonly #rows = new Map<string, T>()
  readonly #topics = new Topics()
  readonly #indexes: Index<T>[] = []
  readonly #listeners = new Set<(id: string, row: T | undefined) => void>()

  /** Adds an index. Only while the table is empty. */
  index(keysOf: (row: T) => readonly string[]): Index<T> {
    const index = new Index<T>(keysOf)
    this.#indexes.push(index)
    return index
  }

  get(id: string, observer: Observer): T | undefined {
    this.#topics.observe(id, observer)
    return this.#rows.get(id)
  }

  /** Stores a row, or removes it when it is undefined. A row equal to the stored one changes nothing. */
  set(id: string, row: T | undefined): void {
    const former = this.#rows.get(id)
    if (former === undefined ? row === undefined : isDeepStrictEqual(former, row)) return
    if (row === undefined) this.#rows.delete(id)
    else this.#rows.set(id, row)
    for (const index of this.#indexes) index.move(id, former, row)
    this.#topics.changed(id)
    for (const listener of this.#listeners) listener(id, row)
  }

  /** Tells of every row there is, and of each that is stored or removed (undefined) from now on, until it is undone. */
  onRow(listener: (id: string, row: T | undefined) => void): () => void {
    this.#listeners.add(listener)
    for (const [id, row] of this.#rows) listener(id, row)
    return () => this.#listeners.delete(listener)
  }

  /** Every row, without telling of later ones. */
  rows(): IterableIterator<T> {
    return this.#rows.values()
  }

  get size(): number {
    return this.#rows.size
  }
}

/** The id of a namespaced object. */
export function idOf(namespace: string, name: string): string {
  return `${namespace}/${name}`
}
