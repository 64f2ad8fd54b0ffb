// Rows that come in chunks: from a query, or from a range of a table. Documents are decoded when they are looked at.

import { Reader } from './cbor.js'
import { type Given, type Held, type Link, type Mode, current, held, release } from './link.js'
import { Operation } from './protocol.js'
import type { Asked, QueryForm } from './query.js'

/** Each chunk is twice the one before, up to this. */
const CHUNK_BYTES_MAX = 1 << 20

/** Rows that came in one response. */
export interface Chunk {
  bytes: Uint8Array
  /** Where each of them begins. */
  rows: number[]
}

/** The rows of a query, chunk by chunk. */
export class Cursor<T, M extends Mode> {
  chunk: Chunk = { bytes: new Uint8Array(), rows: [] }
  /** Where the rows given so far end. */
  token: Uint8Array | null = null
  #held: Held | undefined
  #bytes: number

  private constructor(
    readonly link: Link<M>,
    bytes: number,
  ) {
    this.#bytes = bytes
  }

  /** @param pages whether anyone wants to go on behind the last row another time */
  static query<T, M extends Mode>(asked: Asked<M>, form: QueryForm, bytes: number, pages: boolean): Given<M, Cursor<T, M>> {
    const cursor = new Cursor<T, M>(asked.link, bytes)
    return asked.link.ask(
      Operation.Query,
      false,
      writer => {
        writer.number(asked.scope.number)
        writer.number(asked.handle)
        writer.value(form)
        writer.number(bytes)
        writer.value(pages)
      },
      reader => cursor.#take(reader),
    )
  }

  get isOver(): boolean {
    return this.#held === undefined
  }

  read({ bytes }: Chunk, row: number): T {
    return new Reader(bytes, row).value() as T
  }

  /** Fetches the next chunk. */
  more(): Given<M, this> {
    this.#bytes = Math.min(this.#bytes * 2, CHUNK_BYTES_MAX)
    return this.link.ask(
      Operation.Next,
      false,
      writer => {
        writer.number(current(this.link, this.#held!))
        writer.number(this.#bytes)
      },
      reader => this.#take(reader),
    )
  }

  /** All rows from here on. */
  rest(signal?: AbortSignal): Given<M, T[]> {
    const rows: T[] = []
    const gather = (cursor: this): Given<M, T[]> => {
      if (signal?.aborted) cursor.close()
      const { chunk } = cursor
      for (const row of chunk.rows) rows.push(cursor.read(chunk, row))
      return cursor.isOver ? this.link.given(rows) : this.link.then(cursor.more(), gather)
    }
    return gather(this)
  }

  /** Gives up what is not read yet. */
  close(): void {
    if (this.#held) release(this.link, this.#held)
    this.#held = undefined
  }

  #take(reader: Reader): this {
    reader.list()
    const number = reader.number()
    this.#held = number === 0 ? undefined : held(this.link, number)
    this.token = reader.value()
    const rows = new Array<number>(reader.list())
    for (let at = 0; at < rows.length; at++) rows[at] = reader.skip()
    this.chunk = { bytes: reader.bytes, rows }
    return this
  }
}
