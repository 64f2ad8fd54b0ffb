// The database, as applications see it.

import type { Abortable } from './abort.js'
import type { Backup, BackupOptions } from './backup.js'
import type { Value } from './cbor.js'
import { Collection, type CollectionInfo, type Migrations, type Schema, collections, schemaForm } from './collection.js'
import type { AsyncDisposing, Disposing } from './disposing.js'
import { LightningError } from './errors.js'
import { type Commit, Feed, type Since } from './feed.js'
import { type Given, type Held, type Link, type Mode, held, numberOf, release } from './link.js'
import type { More } from './more.js'
import { Operation } from './protocol.js'
import type { Encryption } from './secret.js'
import { Table, type TableTypes } from './table.js'
import { ISOLATION, begin } from './scope.js'
import type { Snapshot, Transaction, TransactionOptions } from './transaction.js'

/** Where a database lives. */
export type StorageName = 'opfs' | 'indexeddb' | 'file' | 'memory'

export interface OpenOptions extends Abortable {
  /**
   * Where it lives. In browsers the origin private file system, or IndexedDB where that is missing; in Node, Deno and Bun
   * files. Memory only when it is asked for: nothing survives it. A database stays where it was made.
   */
  storage?: StorageName
  /**
   * `sync`, the default: what is acknowledged survives a power loss. `relaxed`: it survives the end of the tab or process,
   * and is faster.
   */
  durability?: 'sync' | 'relaxed'
  /** Memory for everything together; 32 MB unless said otherwise. */
  memoryBudgetBytes?: number
  /** The data file never grows beyond this. */
  fileBytesMax?: number
  /** The log keeps the newest commits up to so many bytes, for `changes`. */
  feedRetentionBytes?: number
  /** Refuse every write. */
  readOnly?: boolean
  /** Make the database if there is none; true unless said otherwise. */
  create?: boolean
  /** What opens an encrypted database; a new one that is given a key is encrypted. */
  encryption?: Encryption
  /** Ask the browser not to delete what this site keeps when space is short: see `persist()`. */
  persist?: boolean
}

/** What the engine itself is told. */
export function engineOptions(options: OpenOptions): object {
  const { durability, memoryBudgetBytes, fileBytesMax, feedRetentionBytes, readOnly, create } = options
  if (durability !== undefined && durability !== 'sync' && durability !== 'relaxed') {
    throw new LightningError('Invalid', [`durability is 'sync' or 'relaxed', not '${durability}'`])
  }
  return { memoryBudgetBytes, fileBytesMax, feedRetentionBytes, readOnly, create }
}

/** Counts and sizes, by name. */
export type Stats = Record<
  | 'sequence'
  | 'commits'
  | 'conflicts'
  | 'entries'
  | 'fileBytes'
  | 'usedBytes'
  | 'freeBytes'
  | 'logBytes'
  | 'memtableBytes'
  | 'cacheBytes'
  | 'cacheHits'
  | 'cacheMisses'
  | 'memoryBudgetBytes'
  | 'checkpoints'
  | 'snapshots'
  | 'quarantined',
  number
>

/** What is asked for as other scopes are, with what transactions are protected from. */
const SNAPSHOT = 0

/** What `verify` found. */
export interface Verified {
  entries: number
  documents: number
  indexEntries: number
  collections: number
  /** Long values, each in a place of its own. */
  values: number
  /** Nodes of trees. */
  nodes: number
  /** Of nodes and long values. */
  bytes: number
  /** In words; empty when the database is whole. */
  problems: string[]
}

/** What is kept here. */
export interface Usage {
  /** Bytes in use: in browsers by all that the site keeps, elsewhere by this database. */
  usage: number
  /** Bytes that the site may keep, in browsers that tell. */
  quota: number | undefined
  /** It is not deleted when space is short. */
  persisted: boolean
}

export interface DatabaseOf<M extends Mode> extends Disposing<Given<M, void>>, AsyncDisposing {}

/** An open database. */
export class DatabaseOf<M extends Mode> {
  #closed: Given<M, void> | undefined

  /** @internal */
  constructor(
    /** Its name, or where its files are. */
    readonly name: string,
    /** Where it lives. */
    readonly storage: StorageName,
    /** How commits are acknowledged. */
    readonly durability: 'sync' | 'relaxed',
    protected readonly link: Link<M>,
    private readonly end: () => Given<M, void>,
  ) {
    if (Symbol.asyncDispose) Object.defineProperty(this, Symbol.asyncDispose, { value: () => this.close() })
    if (Symbol.dispose) Object.defineProperty(this, Symbol.dispose, { value: () => this.close() })
  }

  /**
   * A collection of documents. With a schema it is made where it is missing, and indexes that are not there are made over
   * the documents that are there; without one it is taken as it is. Documents of older versions are migrated first.
   */
  collection<T = any>(name: string, schema?: Schema<T>, options: { migrate?: Migrations<M> } = {}): Collection<T, M> {
    // Whoever has one asks it soon.
    void this.link.more(true)
    const form = schema ? schemaForm(schema) : null
    const durable = this.durability === 'sync'
    const known = this.link.numbers.size
    const number = numberOf(this.link, `collection ${name}`)
    const isNew = this.link.numbers.size > known
    const open = () =>
      this.link.ask(
        Operation.OpenCollection,
        durable && form !== null,
        writer => {
          writer.number(number)
          writer.text(name)
          writer.value(form)
        },
        () => number,
      )
    const migrations = options.migrate ?? {}
    const migrates = (schema?.version ?? 1) > 1
    const migrated = () => this.link.then(this.link.more(), ({ migrate }) => migrate(this.link, durable, name, form!, migrations))
    const opened = once<M>(
      () => (migrates ? this.link.then(migrated(), open) : open()),
      isNew && !migrates ? number : undefined,
    )
    // Made at once, so that indexes are there before anyone asks, and a wrong schema is heard of at the first call.
    const first = opened()
    if (first instanceof Promise) first.catch(() => {})
    return new Collection<T, M>(name, this.link, opened, () => durable)
  }

  /** A table of keys and values. It is made where it is missing, when it is first used. */
  table<K = Value, V = Value>(name: string, { key = 'key', value = 'value' }: TableTypes = {}): Table<K, V, M> {
    const number = numberOf(this.link, `table ${key} ${value} ${name}`)
    const opened = once<M>(
      () =>
        this.link.ask(
          Operation.OpenTable,
          this.durability === 'sync',
          writer => {
            writer.number(number)
            writer.text(name)
            writer.text(key)
            writer.text(value)
          },
          () => number,
        ),
      number,
    )
    return new Table<K, V, M>(name, this.link, opened, () => this.durability === 'sync')
  }

  /**
   * Runs `body` in a transaction: what it writes is there when it comes back, all of it, and nothing when it throws. It runs
   * again when the transaction conflicts with another.
   */
  transaction<R>(body: (tx: Transaction<M>) => Given<M, R> | R, options: TransactionOptions = {}): Given<M, R> {
    const first = begin(this.link, ISOLATION[options.isolation ?? 'serializable'], options.signal)
    return this.#goOn(first, ({ transact }) => transact(this, this.link, body, options, first))
  }

  /** A transaction that is ended by its own `commit()` or `rollback()`. Where it can be, use `transaction`. */
  begin(options: Omit<TransactionOptions, 'retry'> = {}): Given<M, Transaction<M>> {
    const first = begin(this.link, ISOLATION[options.isolation ?? 'serializable'], options.signal)
    return this.#goOn(first, ({ begun }) => this.link.then(first, held => begun(this, this.link, options, held)))
  }

  /** The database as it is now, to be read several times. */
  snapshot(): Given<M, Snapshot<M>> {
    const taken = this.link.ask(
      Operation.Begin,
      false,
      writer => writer.number(SNAPSHOT),
      reader => {
        const [number, position] = reader.value() as [number, Uint8Array]
        return { ...held(this.link, number), position }
      },
    )
    return this.#goOn(taken, ({ snapshotOf }) => this.link.then(taken, taken => snapshotOf(this.link, taken, taken.position)))
  }

  /** Every commit in order, from now on, from the oldest that is kept (`'oldest'`), or on from a position. */
  changes(since: Since = 'now'): Feed<M> {
    return new Feed(this.link, since)
  }

  /** The collections that there are. */
  collections(): Given<M, CollectionInfo[]> {
    return collections(this.link)
  }

  /** Deletes a collection with its documents and indexes; false when there is none. */
  dropCollection(name: string): Given<M, boolean> {
    return this.#drop(Operation.DropCollection, name)
  }

  /** Deletes a table with everything in it; false when there is none. */
  dropTable(name: string): Given<M, boolean> {
    return this.#drop(Operation.DropTable, name)
  }

  /** Waits until everything that was committed survives a power loss. */
  sync(): Given<M, void> {
    return this.link.ask(Operation.Sync, true, () => {}, () => undefined)
  }

  /** Reads everything and says what is wrong. */
  verify(): Given<M, Verified> {
    return this.link.ask(Operation.Check, false, () => {}, reader => {
      const [entries, documents, indexEntries, collections, values, nodes, bytes, problems] = reader.value()
      return { entries, documents, indexEntries, collections, values, nodes, bytes, problems }
    })
  }

  /** Makes the files as small as they can be. */
  compact(): Given<M, void> {
    return this.link.ask(Operation.Compact, true, () => {}, () => undefined)
  }

  stats(): Given<M, Stats> {
    return this.link.ask(Operation.Stats, false, () => {}, reader => reader.value() as Stats)
  }

  /**
   * A copy of the database as it is now, as the bytes of a database file, made while they are read: `restore` makes a database of
   * them. Whatever is written meanwhile is no part of it. `await new Response(db.backup()).blob()` is a `Blob` of it.
   */
  backup(options: BackupOptions = {}): M extends 'async' ? ReadableStream<Uint8Array<ArrayBuffer>> : Iterable<Uint8Array<ArrayBuffer>> {
    const { link } = this
    if (!WAITS_ALONE && link.mode === 'sync') options.signal?.throwIfAborted()
    const begun = link.ask(Operation.Backup, false, () => {}, reader => held(link, reader.number()))
    const made = this.#goOn(begun, ({ Backup }) => link.then(begun, held => new Backup(link, held, options)))
    if (!WAITS_ALONE && link.mode === 'sync') return (made as Backup<M>).pieces() as never
    return new ReadableStream({
      start: async to => (await made).start(to),
      pull: async to => (await made).pull(to),
      cancel: async () => (await made).end(),
    }) as never
  }

  /** Asks the browser not to delete what this site keeps when space is short; tells whether it will not. It may ask the user. */
  async persist(): Promise<boolean> {
    return (await globalThis.navigator?.storage?.persist?.()) ?? this.storage === 'file'
  }

  /** How much is kept here, of how much. */
  async usage(): Promise<Usage> {
    const { fileBytes, logBytes } = await this.stats()
    const { storage } = globalThis.navigator ?? {}
    const { usage = fileBytes + logBytes, quota } = (await storage?.estimate?.()) ?? {}
    return { usage, quota, persisted: (await storage?.persisted?.()) ?? this.storage === 'file' }
  }

  /** Makes everything durable and closes the database. What is asked afterwards is refused. */
  close(): Given<M, void> {
    this.#closed ??= this.end()
    return this.#closed
  }

  /** What was begun in its turn goes on when what it needs has come. */
  #goOn<R>(begun: Given<M, Held>, next: (more: More) => Given<M, R>): Given<M, R> {
    const more = this.link.more()
    if (begun instanceof Promise && more instanceof Promise) {
      more.catch(() => begun.then(held => release(this.link, held))).catch(() => {})
      // Heard of when it goes on.
      begun.catch(() => {})
    }
    return this.link.then(more, next)
  }

  #drop(operation: Operation.DropCollection | Operation.DropTable, name: string): Given<M, boolean> {
    return this.link.ask(operation, this.durability === 'sync', writer => writer.text(name), reader => reader.value() as boolean)
  }
}

/**
 * The handle, asked for once; again when that failed.
 * @param early the handle, where nothing else can be open under it: what is asked meanwhile goes along, and fails where opening does
 */
function once<M extends Mode>(open: () => Given<M, number>, early?: number): (isEarly?: boolean) => Given<M, number> | number {
  let handle: Given<M, number> | number | undefined
  return isEarly => {
    if (handle === undefined) {
      const opening = (handle = open())
      if (opening instanceof Promise) {
        opening.then(
          number => (handle = number),
          () => (handle = undefined),
        )
      }
    }
    return (isEarly && early) || handle
  }
}

/** An open database whose calls give promises. */
export type Database = DatabaseOf<'async'>
/** An open database whose calls give what they give. */
export type SyncDatabase = DatabaseOf<'sync'>
export type { Commit, LightningError }
