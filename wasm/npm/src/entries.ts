// Entries of a table that come in chunks.

import { type Reader, decode } from './cbor.js'
import { type Given, type Held, type Link, type Mode, current, release } from './link.js'
import { Operation } from './protocol.js'

/** Each chunk is twice the one before, up to this. */
const CHUNK_BYTES_MAX = 1 << 20

export class Entries<K, V, M extends Mode> {
  #chunk!: Reader
  #left = 0
  #cursor: Held | undefined

  /** @param reader reads the first answer, which the owner of `generation` gave */
  constructor(
    private readonly link: Link<M>,
    private bytes: number,
    reader: Reader,
    generation: number,
  ) {
    this.#take(reader, generation)
  }

  get hasChunk(): boolean {
    return this.#left > 0
  }

  get isOver(): boolean {
    return this.#cursor === undefined
  }

  /** The next entry of this chunk. */
  next(): [K, V] {
    this.#left--
    const reader = this.#chunk
    const key = reader.value() as K
    return [key, decode(reader.slice()) as V]
  }

  more(): Given<M, this> {
    this.bytes = Math.min(this.bytes * 2, CHUNK_BYTES_MAX)
    return this.link.ask(
      Operation.Next,
      false,
      writer => {
        writer.number(current(this.link, this.#cursor!))
        writer.number(this.bytes)
      },
      reader => this.#take(reader, this.link.generation),
    )
  }

  close(): void {
    if (this.#cursor) release(this.link, this.#cursor)
    this.#cursor = undefined
  }

  #take(reader: Reader, generation: number): this {
    reader.list()
    const number = reader.number()
    this.#cursor = number === 0 ? undefined : { number, generation }
    this.#left = reader.list() / 2
    this.#chunk = reader
    return this
  }
}
