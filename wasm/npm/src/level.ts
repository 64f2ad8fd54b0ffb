// `abstract-level` over a table, for what is written against the interface of LevelDB.

import {
  AbstractIterator,
  type AbstractIteratorOptions,
  AbstractLevel,
  type AbstractDatabaseOptions,
  AbstractSnapshot,
} from 'abstract-level'
import { type Database, LightningError, type OpenOptions, type Range, type Snapshot, type Table, open } from 'lightning-db'

/** How a level is opened, and what its keys and values are by default. */
export interface LevelOptions<K, V> extends AbstractDatabaseOptions<K, V>, Omit<OpenOptions, 'create'> {
  /** The table of the database that holds it; `level` unless said otherwise. */
  table?: string
}

type Bytes = Uint8Array
type Bounds = { gt?: Bytes; gte?: Bytes; lt?: Bytes; lte?: Bytes }
type Ranged = Bounds & { reverse: boolean; limit: number; snapshot?: LevelSnapshot }
type Write = { type: 'put' | 'del'; key: Bytes; value?: Bytes }
/** What is read, of a table or of a moment of it. */
type Rows = Pick<Table<Bytes, Bytes>, 'get' | 'getMany' | 'scan'>

/** A table of bytes under bytes, in the order of the keys. */
export class LightningLevel<K = string, V = string> extends AbstractLevel<Uint8Array, K, V> {
  readonly #place: string | Database
  readonly #options: LevelOptions<K, V>
  #db!: Database
  #table!: Table<Bytes, Bytes>

  /** @param place the name of a database, which is opened and closed with this, or one that is open and stays so */
  constructor(place: string | Database, options: LevelOptions<K, V> = {}) {
    const { table, storage, durability, memoryBudgetBytes, fileBytesMax, feedRetentionBytes, readOnly, encryption, ...forward } = options
    super(
      {
        encodings: { view: true },
        implicitSnapshots: true,
        explicitSnapshots: true,
        permanence: storage !== 'memory',
        createIfMissing: true,
        errorIfExists: false,
        seek: true,
        has: true,
        getSync: false,
      } as never,
      forward as never,
    )
    this.#place = place
    this.#options = options
  }

  /** The database beneath. */
  get database(): Database {
    return this.#db
  }

  async _open({ createIfMissing = true }: { createIfMissing?: boolean }): Promise<void> {
    const { table = 'level', storage, durability, memoryBudgetBytes, fileBytesMax, feedRetentionBytes, readOnly, encryption } = this.#options
    const place = this.#place
    if (typeof place === 'string') {
      const options = { create: createIfMissing, storage, durability, memoryBudgetBytes, fileBytesMax, feedRetentionBytes, readOnly, encryption }
      this.#db = await open(place, options).catch(error => {
        if (createIfMissing || (error as LightningError).code !== 'NotADatabase') throw error
        throw new Error(`the database '${place}' does not exist`, { cause: error })
      })
    } else this.#db = place
    this.#table = this.#db.table<Bytes, Bytes>(table, { key: 'bytes', value: 'bytes' })
    // From here on what is asked goes in the order in which it is asked.
    await this.#table.get(new Uint8Array(1))
  }

  async _close(): Promise<void> {
    if (typeof this.#place === 'string') await this.#db.close()
  }

  async _get(key: Bytes, options: { snapshot?: LevelSnapshot }): Promise<Bytes | undefined> {
    return (await this.#rows(options.snapshot)).get(key)
  }

  async _getMany(keys: Bytes[], options: { snapshot?: LevelSnapshot }): Promise<(Bytes | undefined)[]> {
    return (await this.#rows(options.snapshot)).getMany(keys)
  }

  async _has(key: Bytes, options: { snapshot?: LevelSnapshot }): Promise<boolean> {
    return (await (await this.#rows(options.snapshot)).get(key)) !== undefined
  }

  async _hasMany(keys: Bytes[], options: { snapshot?: LevelSnapshot }): Promise<boolean[]> {
    const values = await (await this.#rows(options.snapshot)).getMany(keys)
    return values.map(value => value !== undefined)
  }

  async _put(key: Bytes, value: Bytes): Promise<void> {
    await this.#table.put(key, value)
  }

  async _del(key: Bytes): Promise<void> {
    await this.#table.delete(key)
  }

  async _batch(writes: Write[]): Promise<void> {
    await this.#db.transaction(async tx => {
      const into = tx.table(this.#table)
      // A later write of the same key comes later, for they go in this order.
      await Promise.all(writes.map(({ type, key, value }) => (type === 'put' ? into.put(key, value!) : into.delete(key))))
    })
  }

  async _clear(options: Ranged): Promise<void> {
    if (options.limit < 0 && !options.snapshot) return this.#table.deleteRange(rangeOf(options))
    const rows = await this.#rows(options.snapshot)
    const range = { ...rangeOf(options), reverse: options.reverse, ...(options.limit < 0 ? {} : { limit: options.limit }) }
    const keys: Bytes[] = []
    for await (const [key] of rows.scan(range)) keys.push(key)
    await this._batch(keys.map(key => ({ type: 'del', key })))
  }

  _iterator(options: AbstractIteratorOptions<K, V>): LevelIterator<K, V> {
    const { snapshot } = options as unknown as Ranged
    // Taken now: what is written later does not show.
    const taken = snapshot ? undefined : this.#db.snapshot()
    return new LevelIterator<K, V>(this, options, this.#rows(snapshot, taken), taken)
  }

  _snapshot(options: object): AbstractSnapshot {
    return new LevelSnapshot(options, this.#db.snapshot())
  }

  async #rows(explicit: LevelSnapshot | undefined, taken: Promise<Snapshot> | undefined = explicit?.taken): Promise<Rows> {
    return taken ? (await taken).table(this.#table) : this.#table
  }
}

class LevelSnapshot extends AbstractSnapshot {
  constructor(
    options: object,
    readonly taken: Promise<Snapshot>,
  ) {
    // Its types do not say that it takes what it is to be closed with.
    super(...([options] as unknown as []))
    taken.catch(() => {})
  }

  async _close(): Promise<void> {
    closeQuietly(await this.taken)
  }
}

class LevelIterator<K, V> extends AbstractIterator<LightningLevel<K, V>, K, V> {
  readonly #range: Range<Bytes>
  readonly #rows: Promise<Rows>
  readonly #taken: Promise<Snapshot> | undefined
  #entries: AsyncGenerator<[Bytes, Bytes], void, undefined> | undefined
  /** Where it goes on, after `seek`. */
  #from: Bytes | undefined
  #isOver = false

  constructor(db: LightningLevel<K, V>, options: AbstractIteratorOptions<K, V>, rows: Promise<Rows>, taken: Promise<Snapshot> | undefined) {
    super(db, options)
    const ranged = options as unknown as Ranged
    this.#range = { ...rangeOf(ranged), reverse: ranged.reverse }
    this.#rows = rows
    this.#taken = taken
    // Heard of by whoever asks for the next entry.
    rows.catch(() => {})
  }

  async _next(): Promise<[K, V] | undefined> {
    const { value } = await (await this.#open()).next()
    return value as [K, V] | undefined
  }

  async _nextv(size: number): Promise<[K, V][]> {
    const entries = await this.#open()
    const rows: unknown[] = []
    while (rows.length < size) {
      const { value } = await entries.next()
      if (!value) break
      rows.push(value)
    }
    return rows as [K, V][]
  }

  async _all(): Promise<[K, V][]> {
    const left = this.limit - this.count
    return this._nextv(left)
  }

  _seek(target: unknown): void {
    const key = target as Bytes
    void this.#entries?.return().catch(() => {})
    this.#entries = undefined
    this.#from = key
    this.#isOver = !holds(this.#range, key)
  }

  async _close(): Promise<void> {
    await this.#entries?.return().catch(() => {})
    const taken = await this.#taken?.catch(() => undefined)
    if (taken) closeQuietly(taken)
  }

  async #open(): Promise<AsyncGenerator<[Bytes, Bytes], void, undefined>> {
    const rows = await this.#rows
    if (this.#isOver) return nothing()
    if (!this.#entries) {
      const { reverse, ...bounds } = this.#range
      const from = this.#from
      const range = from ? (reverse ? { ...bounds, below: undefined, to: from } : { ...bounds, above: undefined, from }) : bounds
      this.#entries = rows.scan({ ...range, reverse })[Symbol.asyncIterator]()
    }
    return this.#entries
  }
}

async function* nothing(): AsyncGenerator<[Bytes, Bytes], void, undefined> {}

function rangeOf({ gt, gte, lt, lte }: Bounds): Range<Bytes> {
  return { ...(gte ? { from: gte } : gt ? { above: gt } : {}), ...(lte ? { to: lte } : lt ? { below: lt } : {}) }
}

function holds({ from, above, to, below }: Range<Bytes>, key: Bytes): boolean {
  if (from && compare(key, from) < 0) return false
  if (above && compare(key, above) <= 0) return false
  if (to && compare(key, to) > 0) return false
  return !(below && compare(key, below) >= 0)
}

function compare(first: Bytes, second: Bytes): number {
  const length = Math.min(first.length, second.length)
  for (let at = 0; at < length; at++) {
    if (first[at] !== second[at]) return first[at]! - second[at]!
  }
  return first.length - second.length
}

/** Its database may be closed before it is. */
function closeQuietly(snapshot: Snapshot): void {
  try {
    snapshot.close()
  } catch (error) {
    if (!(error instanceof LightningError)) throw error
  }
}
