// Queries: what is asked for, built step by step, in the form in which core reads it.

import { abortable, onAbort, raced } from './abort.js'
import type { Reader, Uuid, Value } from './cbor.js'
import { LightningError } from './errors.js'
import type { Rows, Stop } from './live.js'
import type { Given, Link, Mode } from './link.js'
import { Operation } from './protocol.js'
import type { Cursor } from './cursor.js'
import type { Scope } from './scope.js'

/** A path into a document: the name of a field, or several joined by points. */
export type PathOf<T> = T extends readonly (infer E)[]
  ? PathOf<E>
  : T extends Value & object & { readonly [Symbol.iterator]?: never }
    ? Paths<T>
    : T extends object
      ? Paths<T>
      : never

type Leaf = Date | Uint8Array | ArrayBuffer | Blob | Uuid | readonly unknown[]
type Paths<T, Depth extends readonly unknown[] = []> = Depth['length'] extends 4
  ? never
  : {
      [K in keyof T & string]: NonNullable<T[K]> extends Leaf
        ? NonNullable<T[K]> extends readonly (infer E)[]
          ? K | (E extends object ? (E extends Leaf ? never : `${K}.${Paths<E, [...Depth, 0]>}`) : never)
          : K
        : NonNullable<T[K]> extends object
          ? K | `${K}.${Paths<NonNullable<T[K]>, [...Depth, 0]>}`
          : K
    }[keyof T & string]

/** Anything goes where documents have no type. */
export type Path<T> = unknown extends T ? string : string extends keyof T ? string : Paths<T>

/** Which documents are found; made by `field`, `all`, `any` and `not`. */
export type Filter = { readonly [member: string]: unknown }

type KeyValue = Value

/** Conditions on what is under a path. */
export interface Condition<R> {
  equals(value: KeyValue): R
  in(values: readonly KeyValue[]): R
  /** From `low` to `high`, both included. */
  between(low: KeyValue, high: KeyValue): R
  above(value: KeyValue): R
  below(value: KeyValue): R
  /** `value` and above. */
  from(value: KeyValue): R
  /** `value` and below. */
  to(value: KeyValue): R
  startsWith(text: string): R
  exists(): R
  isNull(): R
  /** Ignore case and accents in what follows. */
  fold(): Condition<R>
}

function condition<R>(path: string, made: (filter: Filter) => R, folded = false): Condition<R> {
  const test = (tests: object) => made({ path, ...(folded ? { fold: true } : {}), ...tests })
  return {
    equals: value => test({ equals: value }),
    in: values => test({ in: values }),
    between: (low, high) => test({ from: low, to: high }),
    above: value => test({ above: value }),
    below: value => test({ below: value }),
    from: value => test({ from: value }),
    to: value => test({ to: value }),
    startsWith: text => test({ startsWith: text }),
    exists: () => test({ exists: true }),
    isNull: () => test({ equals: null }),
    fold: () => condition(path, made, true),
  }
}

/** A condition by itself, for `filter`, `all`, `any` and `not`. */
export function field(path: string): Condition<Filter> {
  return condition(path, filter => filter)
}

/** All of these. */
export function all(...filters: Filter[]): Filter {
  return { all: filters }
}

/** One of these at least. */
export function any(...filters: Filter[]): Filter {
  return { any: filters }
}

/** Not this. */
export function not(filter: Filter): Filter {
  return { not: filter }
}

/** How a query was answered. */
export interface Explanation {
  /** In words. */
  plan: string
  /** The index that was read, if it was one. */
  index: string | null
  /** Rows were gathered and sorted, because nothing that was read has their order. */
  isSorted: boolean
  /** Each document that was read was asked whether it is found. */
  looksAtDocuments: boolean
  /** About how many documents there would be without a limit. */
  estimatedRows: number
  rows: number
  entriesRead: number
  documentsRead: number
}

/** One page of a result. */
export interface Page<T> {
  rows: T[]
  /** For the next page; null after the last. */
  next: Uint8Array | null
}

/** Changes of fields: `{ name: 'Ada' }` sets; `increment`, `remove` and `patch` are said by their functions. */
export type Changes<T> = { readonly [P in Path<T>]?: Value | FieldChange } | readonly object[]

/** A change that is more than another value. */
export class FieldChange {
  /** @internal */
  constructor(readonly of: (path: string) => object) {}
}

/** Adds to a number. */
export const increment = (by: number | bigint = 1): FieldChange => new FieldChange(path => ({ increment: path, by }))
/** Takes a field away. */
export const remove = (): FieldChange => new FieldChange(path => ({ remove: path }))
/** Merges a map into the document (RFC 7396): `update(key, [merge({ … })])`. */
export const merge = (patch: { readonly [name: string]: Value | undefined }): object => ({ patch })

/** The list of changes as core reads it. */
export function changeList(changes: object): object[] {
  if (Array.isArray(changes)) return changes
  return Object.entries(changes)
    .filter(([, value]) => value !== undefined)
    .map(([path, value]) => (value instanceof FieldChange ? value.of(path) : { set: path, value }))
}

/** What the query asks for, as core reads it. */
export interface QueryForm {
  where?: Filter
  orderBy?: { path: string; descending: boolean }[]
  reverse?: boolean
  limit?: number
  offset?: number
  after?: Uint8Array
  select?: readonly string[]
}

/** Where a query is asked: an open collection in a scope. */
export interface Asked<M extends Mode> {
  link: Link<M>
  scope: Scope
  /** The collection's handle; there may be something to wait for before there is one. */
  handle: number
  durable: boolean
  name: string
}

const FIRST_CHUNK_BYTES = 32 << 10

/**
 * The documents that are found, in an order. It is asked when its rows are: with `for await` (or `for` where it is
 * synchronous), `toArray`, `first`, `count` and the like. Each step gives another query; this one stays as it is.
 */
export class Query<T, M extends Mode = 'async', D = T> {
  /** @internal */
  constructor(
    protected readonly asked: () => Given<M, Asked<M>>,
    protected readonly link: Link<M>,
    protected readonly form: QueryForm = {},
    protected readonly abort?: AbortSignal,
  ) {}

  #with(more: QueryForm, signal = this.abort): this {
    return new (this.constructor as typeof Query)(this.asked as never, this.link as never, { ...this.form, ...more }, signal) as never
  }

  #narrowed(filter: Filter, how: 'all' | 'any' = 'all'): this {
    const { where } = this.form
    return this.#with({ where: where ? { [how]: [where, filter] } : filter })
  }

  /** @internal Two queries that are the same in these ask the same. */
  get identity(): { source: object; form: QueryForm } {
    return { source: this.asked, form: this.form }
  }

  /** What the form of a query asks for, as other languages write it: see the documentation of conformance scripts. */
  asks(form: QueryForm): this {
    // What is no such form is the engine's to refuse.
    if (typeof form !== 'object' || Array.isArray(form)) {
      return new (this.constructor as typeof Query)(this.asked as never, this.link as never, form, this.abort) as never
    }
    return this.#with(form)
  }

  /** Those that this filter finds, among those found so far. */
  filter(filter: Filter): this {
    return this.#narrowed(filter)
  }

  /** A condition on a field, for documents found so far. */
  where(path: Path<D>): Condition<this> {
    return condition(path, filter => this.#narrowed(filter))
  }

  /** The same as `where`. */
  and(path: Path<D>): Condition<this> {
    return this.where(path)
  }

  /** Those found so far, and those of this condition, too. */
  or(path: Path<D>): Condition<this> {
    return condition(path, filter => this.#narrowed(filter, 'any'))
  }

  /** Ordered by what is under a path, and where that is the same by the next path. */
  orderBy(path: Path<D>, direction: 'ascending' | 'descending' = 'ascending'): this {
    return this.#with({ orderBy: [...(this.form.orderBy ?? []), { path, descending: direction === 'descending' }] })
  }

  /** The other way round. */
  reverse(): this {
    return this.#with({ reverse: !this.form.reverse })
  }

  limit(rows: number): this {
    return this.#with({ limit: rows })
  }

  offset(rows: number): this {
    return this.#with({ offset: rows })
  }

  /** What follows a page, given its `next`. */
  after(token: Uint8Array): this {
    return this.#with({ after: token })
  }

  /** Given up when this signal is aborted: then its rows, and whatever else is asked of it, fail with the signal's reason. */
  signal(signal: AbortSignal): this {
    return this.#with({}, signal)
  }

  /** Documents with these fields alone. */
  select<P extends Path<D>>(...paths: P[]): Query<Selected<T, P>, M, D> {
    return this.#with({ select: paths }) as never
  }

  /** All rows. */
  toArray(): Given<M, T[]> {
    return this.#cursor(cursor => cursor.rest(this.abort))
  }

  /** The first row, or undefined. */
  first(): Given<M, T | undefined> {
    const first = this.#with({ limit: Math.min(this.form.limit ?? 1, 1) })
    return this.link.then(first.toArray() as Given<M, T[]>, rows => rows[0])
  }

  /** The first `limit` rows and where the next begin. */
  page(): Given<M, Page<T>> {
    if (this.form.limit === undefined) {
      return this.link.attempt(() => {
        throw new LightningError('Invalid', ['a page needs a limit: query.limit(20).page()'])
      })
    }
    const asPage = (cursor: Cursor<T, M>): Given<M, Page<T>> =>
      this.link.then(cursor.rest(this.abort), rows => ({
        rows,
        next: rows.length < this.form.limit! ? null : cursor.token,
      }))
    return this.#cursor(asPage, true)
  }

  /** How many there are. */
  count(): Given<M, number> {
    return this.#ask(Operation.Count, false, reader => reader.value())
  }

  /** The lowest value under a path; null when there is none. */
  min(path: Path<D>): Given<M, Value> {
    return this.#extreme(path, false)
  }

  /** The highest value under a path; null when there is none. */
  max(path: Path<D>): Given<M, Value> {
    return this.#extreme(path, true)
  }

  /** Answers the query and tells how. */
  explain(): Given<M, Explanation> {
    return this.#ask(Operation.Explain, false, reader => {
      const [plan, index, isSorted, looksAtDocuments, estimatedRows, rows, entriesRead, documentsRead] = reader.value()
      return { plan, index, isSorted, looksAtDocuments, estimatedRows, rows, entriesRead, documentsRead }
    })
  }

  /** Deletes every document that is found; gives how many. */
  delete(): Given<M, number> {
    return this.#ask(Operation.DeleteWhere, true, reader => reader.value())
  }

  /** Changes fields of every document that is found; gives how many. */
  update(changes: Changes<D>): Given<M, number> {
    return this.#ask(Operation.UpdateWhere, true, reader => reader.value(), writer => writer.value(changeList(changes)))
  }

  /**
   * Calls `render` with the rows now, and again after each commit that changes them; beside them what is different. Whoever
   * is slow gets the newest state. `failed` hears why there will be no more.
   */
  watch(render: (rows: Rows<T>) => unknown, failed?: (error: LightningError) => void): Stop {
    let stopped = false
    let live: (() => void) | undefined
    let ignore = () => {}
    const end = (): void => {
      stopped = true
      ignore()
      live?.()
    }
    const stop = Object.assign(end, { [Symbol.dispose ?? Symbol.for('Symbol.dispose')]: end }) as Stop
    if (this.abort?.aborted) end()
    else ignore = onAbort(this.abort, end)
    const begun = this.link.then(this.link.more(), ({ Live }) => {
      if (!stopped) live = new Live<T, M>(this.asked, this.link, this.form, render, failed, () => ignore()).stop
    })
    if (begun instanceof Promise) {
      begun.catch(error => {
        ignore()
        if (!failed) throw error
        failed(error)
      })
    }
    return stop
  }

  /** @internal The rows, chunk by chunk. */
  open(pages = false): Given<M, Cursor<T, M>> {
    const more = this.link.more()
    return this.link.then(this.asked(), asked =>
      this.link.then(more, ({ Cursor }) => Cursor.query<T, M>(asked, this.form, FIRST_CHUNK_BYTES, pages)),
    )
  }

  #cursor<R>(use: (cursor: Cursor<T, M>) => Given<M, R>, pages = false): Given<M, R> {
    return abortable(this.link, this.abort, () => this.link.then(this.open(pages), use))
  }

  #extreme(path: string, highest: boolean): Given<M, Value> {
    return this.#ask(Operation.Extreme, false, reader => reader.value(), writer => {
      writer.text(path)
      writer.value(highest)
    })
  }

  #ask<R>(
    operation: Operation,
    writes: boolean,
    answer: (reader: Reader) => R,
    more?: (writer: import('./cbor.js').Writer) => void,
  ): Given<M, R> {
    const ask = () => this.link.then(this.asked(), asked =>
      asked.link.ask(
        operation,
        writes && asked.durable,
        writer => {
          writer.number(asked.scope.number)
          writer.number(asked.handle)
          writer.value(this.form)
          more?.(writer)
        },
        answer,
      ),
    )
    return abortable(this.link, this.abort, ask)
  }
}

/** What is left of a document; of fields within fields it is not said which. */
type Selected<T, P> = [P] extends [keyof T] ? Pick<T, P> : Partial<T>

export interface AsyncQuery<T, D = T> {
  select<P extends Path<D>>(...paths: P[]): AsyncQuery<Selected<T, P>, D>
}

/** A query whose rows come with `for await`. */
export class AsyncQuery<T, D = T> extends Query<T, 'async', D> implements AsyncIterable<T> {
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const { abort } = this
    const cursor = await raced(abort, () => this.open(), cursor => cursor.close())
    try {
      for (;;) {
        const chunk = cursor.chunk
        // The next chunk is on its way while this one is looked at.
        const next = cursor.isOver ? undefined : cursor.more()
        next?.catch(() => {})
        for (const row of chunk.rows) {
          abort?.throwIfAborted()
          yield cursor.read(chunk, row)
        }
        if (!next) return
        await raced(abort, () => next)
      }
    } finally {
      cursor.close()
    }
  }
}

export interface SyncQuery<T, D = T> {
  select<P extends Path<D>>(...paths: P[]): SyncQuery<Selected<T, P>, D>
}

/** A query whose rows come with `for`. */
export class SyncQuery<T, D = T> extends Query<T, 'sync', D> implements Iterable<T> {
  *[Symbol.iterator](): Generator<T, void, undefined> {
    const cursor = this.open()
    try {
      for (;;) {
        const { chunk } = cursor
        for (const row of chunk.rows) {
          this.abort?.throwIfAborted()
          yield cursor.read(chunk, row)
        }
        if (cursor.isOver) return
        cursor.more()
      }
    } finally {
      cursor.close()
    }
  }
}
