// Tables: ordered keys to values of any kind.

import { type Abortable, abortable, raced } from './abort.js'
import type { Value, Writer } from './cbor.js'
import type { Entries } from './entries.js'
import type { Given, Link, Mode } from './link.js'
import { Operation } from './protocol.js'
import { batch } from './collection.js'
import { now } from './scope.js'
import { Target } from './target.js'

type Width = 8 | 16 | 32 | 64
type Plain = 'string' | 'bytes' | `bytes[${number}]` | 'bool' | 'unit' | `u${Width}` | `i${Width}` | 'f64'

/**
 * How keys and values are stored. `key` and `value`, the defaults, hold every kind; the others are the names that other languages
 * give the types of tables, for keys those of tuples and of what may be missing, too: `(string, u64)`, `u64?`.
 */
export interface TableTypes {
  key?: 'key' | Plain | `(${string})` | `${string}?`
  value?: 'value' | Plain
}

/** A part of a table; without bounds all of it. `from` and `to` are included, `above` and `below` are not. */
export interface Range<K> extends Abortable {
  from?: K
  above?: K
  to?: K
  below?: K
  reverse?: boolean
  limit?: number
}

const FIRST_CHUNK_BYTES = 32 << 10

/** Reading and writing a table; each call is a transaction of its own, or part of the one it was asked of. */
export class TableRows<K, V, M extends Mode> extends Target<M> {
  /** The value of a key, or undefined. */
  get(key: K, options?: Abortable): Given<M, V | undefined> {
    return this.ask(Operation.TableGet, false, writer => writer.value(key), reader => reader.value() as V | undefined, options?.signal)
  }

  /** The values of many keys, in their order. */
  getMany(keys: readonly K[], options?: Abortable): Given<M, (V | undefined)[]> {
    return this.ask(Operation.TableGetMany, false, writer => writer.value(keys), reader => reader.value() as (V | undefined)[], options?.signal)
  }

  /** Writes a value, whatever was under the key. */
  put(key: K, value: V): Given<M, void> {
    return this.#put(0, key, value)
  }

  /** Writes under a new key; one that exists is an error, `Unexpected`. */
  insert(key: K, value: V): Given<M, void> {
    return this.#put(1, key, value)
  }

  /** Writes over a value; a key that is missing is an error, `Unexpected`. */
  replace(key: K, value: V): Given<M, void> {
    return this.#put(2, key, value)
  }

  /** Deletes a key; tells whether it was there. */
  delete(key: K): Given<M, boolean> {
    return this.ask(Operation.TableDelete, true, writer => writer.value(key), reader => reader.value() as boolean)
  }

  /** Writes `next` if the value under the key is `expected` (undefined: there is none); tells whether it was. */
  compareAndSwap(key: K, expected: V | undefined, next: V): Given<M, boolean> {
    return this.ask(
      Operation.TableSwap,
      true,
      writer => {
        writer.value(key)
        writer.value(expected)
        writer.value(next)
      },
      reader => reader.value() as boolean,
    )
  }

  /** Adds to the number under the key (0 when missing) and gives the sum; for values of type `i64`. */
  increment(key: K, by: number | bigint = 1): Given<M, V> {
    return this.ask(
      Operation.TableIncrement,
      true,
      writer => {
        writer.value(key)
        writer.value(by)
      },
      reader => reader.value() as V,
    )
  }

  /** Deletes every key of a range. */
  deleteRange(range: Omit<Range<K>, 'reverse' | 'limit'>): Given<M, void> {
    return this.ask(Operation.TableDeleteRange, true, writer => writeRange(writer, range), () => undefined)
  }

  /** How many keys a range holds; it costs a few steps whatever the number. */
  count(range: Omit<Range<K>, 'reverse' | 'limit'> = {}): Given<M, number> {
    return this.ask(Operation.TableCount, false, writer => writeRange(writer, range), reader => reader.value() as number, range.signal)
  }

  /** The entries of a range, in the order of the keys: `for await` (`for` where it is synchronous), or `toArray`. */
  scan(range: Range<K> = {}): Scan<K, V, M> {
    return new Scan(this, range)
  }

  #put(mode: number, key: K, value: V): Given<M, void> {
    return this.ask(
      Operation.TablePut,
      true,
      writer => {
        writer.number(mode)
        writer.value(key)
        writer.value(value)
      },
      () => undefined,
    )
  }
}

/** A table of the database. */
export class Table<K = Value, V = Value, M extends Mode = 'async'> extends TableRows<K, V, M> {
  /** @internal */
  constructor(name: string, link: Link<M>, opened: () => Given<M, number> | number, durable: () => boolean) {
    super(name, link, opened, () => now, durable)
  }

  /** Writes many entries in one transaction. */
  putMany(entries: Iterable<readonly [K, V]>): Given<M, void> {
    // Gone through again where something has to be read first.
    const all = [...entries]
    return this.link.then(this.opened(true), handle => batch(this.link, this.durable(), function* () {
      for (const [key, value] of all) {
        yield [Operation.TablePut, (writer: Writer) => {
          writer.number(0)
          writer.number(handle)
          writer.number(0)
          writer.value(key)
          writer.value(value)
        }] as const
      }
    }))
  }
}

/** The entries of a range, read when they are asked for. */
export class Scan<K, V, M extends Mode> {
  /** @internal */
  constructor(
    private readonly table: TableRows<K, V, M>,
    private readonly range: Range<K>,
  ) {}

  /** All entries. */
  toArray(): Given<M, [K, V][]> {
    const rows: [K, V][] = []
    const { link } = this.table
    const gather = (entries: Entries<K, V, M>): Given<M, [K, V][]> => {
      if (this.range.signal?.aborted) entries.close()
      while (entries.hasChunk) rows.push(entries.next())
      return entries.isOver ? link.given(rows) : link.then(entries.more(), gather)
    }
    return abortable(link, this.range.signal, () => link.then(entries(this.table, this.range), gather))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<[K, V], void, undefined> {
    const { signal } = this.range
    const rows = await raced(signal, () => entries(this.table, this.range), rows => rows.close())
    try {
      for (;;) {
        while (rows.hasChunk) {
          signal?.throwIfAborted()
          yield rows.next()
        }
        if (rows.isOver) return
        await raced(signal, () => rows.more())
      }
    } finally {
      rows.close()
    }
  }

  *[Symbol.iterator](): Generator<[K, V], void, undefined> {
    if (WAITS_ALONE || this.table.link.mode === 'async') throw new TypeError("entries come one after the other: use 'for await'")
    const rows = entries(this.table, this.range) as Entries<K, V, M>
    try {
      for (;;) {
        while (rows.hasChunk) {
          this.range.signal?.throwIfAborted()
          yield rows.next()
        }
        if (rows.isOver) return
        rows.more()
      }
    } finally {
      rows.close()
    }
  }
}

function writeRange<K>(writer: Writer, { from, above, to, below }: Range<K>): void {
  writer.value(from !== undefined ? from : above)
  writer.value(from !== undefined)
  writer.value(to !== undefined ? to : below)
  writer.value(to !== undefined)
}

/** The first of them are asked for at once, in their turn, whatever has to come to read them. */
function entries<K, V, M extends Mode>(table: TableRows<K, V, M>, range: Range<K>): Given<M, Entries<K, V, M>> {
  const { link } = table
  const more = link.more()
  const asked = table.ask(
    Operation.TableScan,
    false,
    writer => {
      writeRange(writer, range)
      writer.value(range.reverse ?? false)
      writer.number(range.limit ?? Number.MAX_SAFE_INTEGER)
      writer.number(FIRST_CHUNK_BYTES)
    },
    reader => ({ reader, generation: link.generation }),
  )
  return link.then(asked, ({ reader, generation }) =>
    link.then(more, ({ Entries }) => new Entries<K, V, M>(link, FIRST_CHUNK_BYTES, reader, generation)),
  )
}
