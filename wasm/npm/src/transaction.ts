// Transactions and snapshots: the same nouns as the database, at one moment.

import { type Abortable, raced } from './abort.js'
import { type Collection, Documents } from './collection.js'
import type { DatabaseOf } from './database.js'
import type { Disposing } from './disposing.js'
import { LightningError, addWords } from './errors.js'
import { type Given, type Held, type Link, type Mode, current, release } from './link.js'
import { Operation } from './protocol.js'
import { ISOLATION, type Scope, begin, scopeOf } from './scope.js'
import { type Table, TableRows } from './table.js'

addWords({
  TransactionTooOld: () =>
    'the transaction is older than the changes kept to validate it; run it again, and keep transactions short',
  Deadlock: ([key]) => `waiting for the lock on ${key} would never end; run this transaction again`,
  TransactionTimeout: ([limit]) => `the transaction ran longer than its limit of ${limit} ms and was ended; nothing was written`,
})

/** A signal that is aborted undoes it, and fails it with its reason; not once it is being committed. */
export interface TransactionOptions extends Abortable {
  /** What it is protected from; `serializable`, the default, from everything. */
  isolation?: 'readCommitted' | 'snapshot' | 'serializable'
  /** Run it again when it conflicts with another, at most 5 times; then the callback runs again, too. Default true. */
  retry?: boolean
  /** It is ended when it takes longer, in milliseconds; 30,000 unless said otherwise. */
  timeoutMs?: number
  /** As of the database, unless said otherwise. */
  durability?: 'sync' | 'relaxed'
}

const RETRIES_MAX = 5
/** Nothing was committed. */
const AGAIN: ReadonlySet<string> = new Set(['Conflict', 'TransactionTooOld', 'Restarted'])
const TIMEOUT_MS = 30_000

/** What is read and written together, or not at all. */
export class Transaction<M extends Mode = 'async'> {
  #ended: { why: unknown } | undefined
  readonly #limit: ReturnType<typeof setTimeout>
  readonly #abort = () => this.#end(this.signal!.reason)

  /** @internal */
  constructor(
    private readonly link: Link<M>,
    private readonly held: Held,
    private readonly durable: boolean,
    timeoutMs: number,
    private readonly signal?: AbortSignal,
  ) {
    signal?.addEventListener('abort', this.#abort)
    this.#limit = setTimeout(() => this.#end(new LightningError('TransactionTimeout', [timeoutMs])), timeoutMs)
  }

  /** A collection in this transaction. */
  collection<T>(collection: Collection<T, M>): Documents<T, M> {
    return new Documents(collection.name, this.link, collection.opened, () => this.#scope(), () => false)
  }

  /** A table in this transaction. */
  table<K, V>(table: Table<K, V, M>): TableRows<K, V, M> {
    return new TableRows(table.name, this.link, table.opened, () => this.#scope(), () => false)
  }

  /** Makes everything permanent, or nothing where it conflicts with another transaction. */
  commit(): Given<M, void> {
    return this.link.attempt(() => {
      this.#check()
      this.#stop(new LightningError('Invalid', ['this transaction has ended']))
      return this.link.finally(
        () =>
          this.link.ask(Operation.Commit, this.durable, writer => writer.number(current(this.link, this.held)), () => undefined),
        () => release(this.link, this.held),
      )
    })
  }

  /** Undoes everything. */
  rollback(): void {
    this.#end(new LightningError('Invalid', ['this transaction has ended']))
  }

  #end(why: unknown): void {
    if (this.#ended) return
    this.#stop(why)
    release(this.link, this.held)
  }

  #stop(why: unknown): void {
    this.#ended = { why }
    clearTimeout(this.#limit)
    this.signal?.removeEventListener('abort', this.#abort)
  }

  #check(): void {
    if (this.#ended) throw this.#ended.why
  }

  #scope(): Scope {
    this.#check()
    return scopeOf(this.link, this.held)
  }
}

export interface Snapshot<M extends Mode = 'async'> extends Disposing {}

/** The database at one moment: what is committed later does not show. Give it back with `close()`. */
export class Snapshot<M extends Mode = 'async'> {
  #ended: LightningError | undefined

  /** @internal */
  constructor(
    private readonly link: Link<M>,
    private readonly held: Held,
    /** Where a feed of `changes` goes on behind it. */
    readonly position: Uint8Array,
  ) {
    if (Symbol.dispose) Object.defineProperty(this, Symbol.dispose, { value: () => this.close() })
  }

  collection<T>(collection: Collection<T, M>): Pick<Documents<T, M>, 'get' | 'getBy' | 'getMany' | 'query' | 'where' | 'count'> {
    return new Documents(collection.name, this.link, collection.opened, () => this.#scope(), () => false)
  }

  table<K, V>(table: Table<K, V, M>): Pick<TableRows<K, V, M>, 'get' | 'getMany' | 'scan' | 'count'> {
    return new TableRows(table.name, this.link, table.opened, () => this.#scope(), () => false)
  }

  close(): void {
    if (this.#ended) return
    this.#ended = new LightningError('Invalid', ['this snapshot was closed'])
    release(this.link, this.held)
  }

  #check(): void {
    if (this.#ended) throw this.#ended
  }

  #scope(): Scope {
    this.#check()
    return scopeOf(this.link, this.held)
  }
}

export function snapshotOf<M extends Mode>(link: Link<M>, held: Held, position: Uint8Array): Snapshot<M> {
  return new Snapshot(link, held, position)
}

/** The transaction that was begun. */
export function begun<M extends Mode>(
  database: DatabaseOf<M>,
  link: Link<M>,
  { durability = database.durability, timeoutMs = TIMEOUT_MS, signal }: TransactionOptions,
  held: Held,
): Transaction<M> {
  if (signal?.aborted) {
    release(link, held)
    throw signal.reason
  }
  return new Transaction(link, held, durability === 'sync', timeoutMs, signal)
}

/** Runs `body` in a transaction, the `first` at first, which is committed when it comes back and undone when it throws. */
export function transact<R, M extends Mode>(
  database: DatabaseOf<M>,
  link: Link<M>,
  body: (tx: Transaction<M>) => Given<M, R> | R,
  options: TransactionOptions,
  first: Given<M, Held>,
): Given<M, R> {
  let next: Given<M, Held> | undefined = first
  let retries = (options.retry ?? true) ? RETRIES_MAX : 0
  const run = (tx: Transaction<M>): Given<M, R> =>
    (options.signal && link.mode === 'async' ? raced(options.signal, () => body(tx)) : body(tx)) as Given<M, R>
  const once = (): Given<M, R> => {
    const held = next ?? begin(link, ISOLATION[options.isolation ?? 'serializable'], options.signal)
    next = undefined
    return link.then(held, held => {
      const tx = begun(database, link, options, held)
      return link.finally(
        () =>
          link.then(run(tx), result => {
            if (link.mode === 'sync' && result instanceof Promise) {
              throw new LightningError('Invalid', ['a transaction without promises ends when its function comes back'])
            }
            return link.then(tx.commit(), () => result)
          }),
        () => tx.rollback(),
      )
    })
  }
  const again = (error: unknown): boolean =>
    error instanceof LightningError && AGAIN.has(error.code) && retries-- > 0

  if (link.mode === 'sync') {
    for (;;) {
      try {
        return once()
      } catch (error) {
        if (!again(error)) throw error
      }
    }
  }
  const attempt = (): Promise<R> =>
    (once() as Promise<R>).catch(error => {
      if (again(error)) return attempt()
      throw error
    })
  return attempt() as Given<M, R>
}
