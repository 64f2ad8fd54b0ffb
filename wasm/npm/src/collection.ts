// Collections: documents, each under the key that lies at a path in it, found by any field that has an index.

import type { Abortable } from './abort.js'
import type { Reader, Value, Writer } from './cbor.js'
import type { Given, Link, Mode } from './link.js'
import { Operation, type OperationNumber } from './protocol.js'
import { AsyncQuery, type Asked, type Changes, type Condition, type Filter, type Path, type Query, SyncQuery, changeList } from './query.js'
import { now } from './scope.js'
import { Target } from './target.js'

/** What a collection is: where a document's key lies, and what is indexed. */
export interface Schema<T = unknown> {
  /** The path of the key. */
  key: Path<T>
  /**
   * Indexes by name: `{ age: 'age', place: ['country', 'city'], email: { path: 'email', unique: true } }`. Those that are not
   * there are made when the collection is opened, over the documents that are there.
   */
  indexes?: { readonly [name: string]: Path<T> | readonly Path<T>[] | IndexOptions<T> }
  /** Documents go by themselves so long after they were written. */
  expiresAfterMs?: number
  /**
   * Documents that are put or inserted without a key get one: `'increment'` counts 1, 2, 3 … and never gives a number again,
   * `'uuid'` makes a `Uuid` of version 7, which sorts behind those made before.
   */
  autoKey?: 'increment' | 'uuid'
  /** The version of documents that this program knows; 1 unless said otherwise. */
  version?: number
}

/**
 * By version, what brings documents of that version to the next: a function that is given each document, changes of fields of each,
 * or `{ transaction: async documents => { … } }`, which changes the collection as a whole.
 */
export interface Migrations<M extends Mode = Mode> {
  readonly [from: number]: ((document: any) => unknown) | Changes<any> | WholeMigration<M>
}

/** Changes a collection in one transaction: all of it is migrated, or nothing. */
export interface WholeMigration<M extends Mode = Mode> {
  transaction(documents: Documents<any, M>): Given<M, unknown> | void
}

export interface IndexOptions<T = unknown> {
  /** The path, or several that are ordered together. */
  path: Path<T> | readonly Path<T>[]
  /** No two documents have the same. */
  unique?: boolean
  /** Leaves out documents that lack it. */
  sparse?: boolean
  /** Each element of a list. */
  multi?: boolean
  /** Without case and accents, for conditions with `fold()`. */
  folded?: boolean
}

/** The schema as core reads it. */
export function schemaForm({ indexes: declared = {}, ...rest }: Schema<any>): object {
  // A list is that form already.
  if (Array.isArray(declared)) return { ...rest, indexes: declared }
  const indexes = Object.entries(declared).map(([name, index]) => {
    const options: IndexOptions<any> = typeof index === 'object' && 'path' in index ? index : { path: index as string }
    const { path, ...how } = options
    return { name, paths: Array.isArray(path) ? path : [path], ...how }
  })
  return { ...rest, indexes }
}

/** When a document goes. */
export interface PutOptions {
  /** The moment; false to stay whatever the schema says; `'kept'` for that of the document that is written over. */
  expires?: Date | false | 'kept'
}

export type Key = Value

/** Reading and writing documents; each call is a transaction of its own, or part of the one it was asked of. */
export class Documents<T, M extends Mode> extends Target<M> {
  /** The document of a key, or undefined. */
  get(key: Key, options?: Abortable): Given<M, T | undefined> {
    return this.ask(Operation.Get, false, writer => writer.value(key), readDocument<T>, options?.signal)
  }

  /** The documents of many keys, in their order. */
  getMany(keys: readonly Key[], options?: Abortable): Given<M, (T | undefined)[]> {
    return this.ask(
      Operation.GetMany,
      false,
      writer => writer.value(keys),
      reader => Array.from({ length: reader.list() }, () => readDocument<T>(reader)),
      options?.signal,
    )
  }

  /** The document that has these values in a unique index, one for each of its paths. */
  getBy(index: string, ...values: Value[]): Given<M, T | undefined> {
    return this.ask(
      Operation.GetBy,
      false,
      writer => {
        writer.text(index)
        writer.value(values)
      },
      readDocument<T>,
    )
  }

  /** Writes a document, whatever was under its key. Gives the key, where it was made: see `autoKey`. */
  put<K extends Key = Key>(document: T, options?: PutOptions): Given<M, K | undefined> {
    return this.#put(0, document, options?.expires)
  }

  /** Writes a document that is CBOR already. */
  putCbor<K extends Key = Key>(document: Uint8Array, options?: PutOptions): Given<M, K | undefined> {
    return this.#put(3, document, options?.expires)
  }

  /** Writes a new document; a key that exists is an error, `Unexpected`. Gives the key, where it was made: see `autoKey`. */
  insert<K extends Key = Key>(document: T): Given<M, K | undefined> {
    return this.#put(1, document)
  }

  /** Writes over a document; a key that is missing is an error, `Unexpected`. */
  replace(document: T): Given<M, void> {
    return this.#put<never>(2, document) as Given<M, void>
  }

  /** Deletes a document; tells whether it was there. */
  delete(key: Key): Given<M, boolean> {
    return this.ask(Operation.Delete, true, writer => writer.value(key), readValue<boolean>)
  }

  /** Changes fields of a document; false when there is none. */
  update(key: Key, changes: Changes<T>): Given<M, boolean> {
    return this.ask(
      Operation.Update,
      true,
      writer => {
        writer.value(key)
        writer.value(changeList(changes))
      },
      readValue<boolean>,
    )
  }

  /** Writes `next` if the document under its key is `expected` (undefined: there is none); tells whether it was. */
  compareAndSwap(expected: T | undefined, next: T): Given<M, boolean> {
    return this.ask(
      Operation.Swap,
      true,
      writer => {
        writer.value(expected ?? null)
        writer.value(next)
      },
      readValue<boolean>,
    )
  }

  /** All documents, in the order of their keys, to be narrowed down. */
  query(filter?: Filter): M extends 'async' ? AsyncQuery<T> : SyncQuery<T> {
    const Kind = (WAITS_ALONE || this.link.mode === 'async' ? AsyncQuery : SyncQuery) as unknown as new (
      asked: () => Given<M, Asked<M>>,
      link: Link<M>,
      form: object,
    ) => never
    return new Kind(this.#source, this.link, filter ? { where: filter } : {})
  }

  /** Documents for which something holds of what is under a path. */
  where(path: Path<T>): Condition<M extends 'async' ? AsyncQuery<T> : SyncQuery<T>> {
    return (this.query() as unknown as Query<T, M>).where(path) as never
  }

  /** How many documents there are. */
  count(): Given<M, number> {
    return (this.query() as unknown as Query<T, M>).count()
  }

  /** One for all queries, by which they are known to ask the same. */
  readonly #source = (): Given<M, Asked<M>> => this.#asked()

  #asked(): Given<M, Asked<M>> {
    return this.link.then(this.opened(true), handle => ({
      link: this.link,
      scope: this.scope(),
      handle,
      durable: this.durable(),
      name: this.name,
    }))
  }

  #put<K>(mode: number, document: unknown, expires?: PutOptions['expires']): Given<M, K | undefined> {
    return this.ask(
      Operation.Put,
      true,
      writer => {
        writer.number(mode)
        writer.value(expires instanceof Date ? expires.getTime() : expires === 'kept' || (expires ?? null))
        writer.value(document)
      },
      readDocument<K>,
    )
  }
}

/** A collection of the database. */
export class Collection<T = any, M extends Mode = 'async'> extends Documents<T, M> {
  /** Writes many documents in one transaction. */
  putMany(documents: Iterable<T>): Given<M, void> {
    // Gone through again where something has to be read first.
    const all = [...documents]
    return this.link.then(this.opened(true), handle => batch(this.link, this.durable(), function* () {
      for (const document of all) {
        yield [Operation.Put, (writer: Writer) => {
          writer.number(0)
          writer.number(handle)
          writer.number(0)
          writer.value(null)
          writer.value(document)
        }] as const
      }
    }))
  }

  /** How the database has it: what is indexed, how many documents there are. Undefined when it was dropped. */
  describe(): Given<M, CollectionInfo | undefined> {
    return this.link.then(collections(this.link), all => all.find(({ name }) => name === this.name))
  }

  /** Deletes an index; false when there is none of this name. */
  dropIndex(index: string): Given<M, boolean> {
    return this.link.then(this.opened(), handle =>
      this.link.ask(
        Operation.DropIndex,
        true,
        writer => {
          writer.number(handle)
          writer.text(index)
        },
        readValue<boolean>,
      ),
    )
  }

  /** @internal */
  constructor(name: string, link: Link<M>, opened: (isEarly?: boolean) => Given<M, number> | number, durable: () => boolean) {
    super(name, link, opened, () => now, durable)
  }
}

/** A collection as the database has it. */
export interface CollectionInfo {
  name: string
  key: string
  /** The version of its documents. */
  version: number
  /** Documents go by themselves so long after they were written; null when they stay. */
  expiresAfterMs: number | null
  /** How documents that have no key get one; null when they do not. */
  autoKey: 'increment' | 'uuid' | null
  /** Those that are there, and those that have gone and are not removed yet. */
  documents: number
  indexes: {
    name: string
    paths: string[]
    unique: boolean
    sparse: boolean
    multi: boolean
    folded: boolean
    /** It has all documents; until then it is being made. */
    ready: boolean
    entries: number
  }[]
}

type IndexRow = [string, string[], boolean, boolean, boolean, boolean, boolean, number]
type CollectionRow = [string, string, number, number | null, CollectionInfo['autoKey'], number, IndexRow[]]

/** All collections of the database. */
export function collections<M extends Mode>(link: Link<M>): Given<M, CollectionInfo[]> {
  return link.ask(Operation.Collections, false, () => {}, reader =>
    (reader.value() as CollectionRow[]).map(([name, key, version, expiresAfterMs, autoKey, documents, indexes]) => ({
      name,
      key,
      version,
      expiresAfterMs,
      autoKey,
      documents,
      indexes: indexes.map(([name, paths, unique, sparse, multi, folded, ready, entries]) => ({
        name,
        paths,
        unique,
        sparse,
        multi,
        folded,
        ready,
        entries,
      })),
    })),
  )
}

/** Writes of one transaction, in one message. */
export function batch<M extends Mode>(
  link: Link<M>,
  durable: boolean,
  writes: () => Iterable<readonly [OperationNumber, (writer: Writer) => void]>,
): Given<M, void> {
  return link.ask(
    Operation.Batch,
    durable,
    writer => {
      let count = 0
      const head = writer.reserveHead()
      for (const [operation, args] of writes()) {
        const begin = writer.reserveHead()
        writer.byte(operation)
        args(writer)
        writer.patchHead(begin, 2, writer.length - begin - 5)
        count++
      }
      writer.patchHead(head, 4, count)
    },
    () => undefined,
  )
}

function readDocument<T>(reader: Reader): T | undefined {
  return (reader.value() ?? undefined) as T | undefined
}

function readValue<R>(reader: Reader): R {
  return reader.value() as R
}
