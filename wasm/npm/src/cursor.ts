// Rows that come in chunks: from a query, or from a range of a table. Documents are decoded when they are looked at.

import { Reader, decode } from './cbor.js'
import type { Given, Link, Mode } from './link.js'
import { NOW, Operation } from './protocol.js'
import type { Asked, QueryForm } from './query.js'

/** Where something is read: now, in a snapshot, or in a transaction. */
export interface Scope {
  readonly number: number
}

export const now: Scope = { number: NOW }

/** Each chunk is twice the one before, up to this. */
const CHUNK_BYTES_MAX = 1 << 20

/** The rows of a query, chunk by chunk. */
export class Cursor<T, M extends Mode> {
  /** Rows as CBOR. */
  chunk: Uint8Array[] = []
  /** Where the rows given so far end. */
  token: Uint8Array | null = null
  #number = 0
  #bytes: number

  private constructor(
    readonly link: Link<M>,
    bytes: number,
  ) {
    this.#bytes = bytes
  }

  static query<T, M extends Mode>(asked: Asked<M>, form: QueryForm, bytes: number): Given<M, Cursor<T, M>> {
    const cursor = new Cursor<T, M>(asked.link, bytes)
    return asked.link.ask(
      Operation.Query,
      false,
      writer => {
        writer.number(asked.scope.number)
        writer.number(asked.handle)
        writer.value(form)
        writer.number(bytes)
      },
      reader => cursor.#take(reader),
    )
  }

  get isOver(): boolean {
    return this.#number === 0
  }

  read(row: Uint8Array): T {
    return decode(row) as T
  }

  /** Fetches the next chunk. */
  more(): Given<M, this> {
    this.#bytes = Math.min(this.#bytes * 2, CHUNK_BYTES_MAX)
    return this.link.ask(
      Operation.Next,
      false,
      writer => {
        writer.number(this.#number)
        writer.number(this.#bytes)
      },
      reader => this.#take(reader),
    )
  }

  /** All rows from here on. */
  rest(): Given<M, T[]> {
    const rows: T[] = []
    const gather = (cursor: this): Given<M, T[]> => {
      for (const row of cursor.chunk) rows.push(cursor.read(row))
      return cursor.isOver ? this.link.given(rows) : this.link.then(cursor.more(), gather)
    }
    return gather(this)
  }

  /** Gives up what is not read yet. */
  close(): void {
    if (this.isOver) return
    const number = this.#number
    this.#number = 0
    release(this.link, number)
  }

  #take(reader: Reader): this {
    reader.list()
    this.#number = reader.number()
    this.token = reader.value()
    this.chunk = Array.from({ length: reader.list() }, () => reader.slice())
    return this
  }
}

/** What `begin` is asked for. */
export const SERIALIZABLE = 3

/** Begins a transaction. */
export function begin<M extends Mode>(link: Link<M>, isolation: number): Given<M, Scope> {
  return link.ask(Operation.Begin, false, writer => writer.number(isolation), reader => ({ number: reader.number() }))
}

/** Gives back a handle; nobody waits for it. */
export function release<M extends Mode>(link: Link<M>, number: number): void {
  try {
    const released = link.ask(Operation.Release, false, writer => writer.number(number), () => undefined)
    if (released instanceof Promise) released.catch(() => {})
  } catch {
    // The database is closed, and the handle with it.
  }
}
