// Live results: the rows of a query now, and after each commit that changes them.

import { Reader, decode } from './cbor.js'
import type { Disposing } from './disposing.js'
import { LightningError } from './errors.js'
import { type Given, type Held, type Link, type Mode, current, held, release } from './link.js'
import { Operation } from './protocol.js'
import type { Asked, QueryForm } from './query.js'

/** The rows of a live result, and what is different from those before. */
export interface Rows<T> extends ReadonlyArray<T> {
  /** New rows; at first all of them. */
  readonly added: readonly T[]
  /** Rows that are not as they were, or not where they were, as they are now. */
  readonly changed: readonly T[]
  /** Rows that are gone, as they were. */
  readonly removed: readonly T[]
  /** The commit after which the rows are so. */
  readonly sequence: number
}

/** Ends a live result. */
export interface Stop extends Disposing {
  (): void
}

/** A row, decoded when it is first looked at, and the same object until it changes. */
class Row<T> {
  readonly #bytes: Uint8Array
  #value: T | undefined

  constructor(bytes: Uint8Array) {
    // What it came in is not kept alive by one row of many.
    this.#bytes = bytes.slice()
  }

  get value(): T {
    return (this.#value ??= decode(this.#bytes) as T)
  }

  /** The same for rows that are the same, whatever was done to the value since, and also where there are blobs in it. */
  get key(): string {
    let key = ''
    for (const byte of this.#bytes) key += String.fromCharCode(byte)
    return key
  }
}

export class Live<T, M extends Mode> {
  #rows: Row<T>[] = []
  #held: Held | undefined
  /** The next event has all rows. */
  #isWhole = false
  #stopped = false
  readonly #link: Link<M>
  readonly #render: (rows: Rows<T>) => unknown
  readonly #failed: ((error: LightningError) => void) | undefined
  readonly #again: () => void
  readonly #ended: () => void
  readonly stop: () => void

  constructor(
    asked: () => Given<M, Asked<M>>,
    link: Link<M>,
    form: QueryForm,
    render: (rows: Rows<T>) => unknown,
    failed: ((error: LightningError) => void) | undefined,
    ended: () => void,
  ) {
    this.#link = link
    this.#render = render
    this.#failed = failed
    this.stop = () => this.#stop()
    this.#again = () => {
      const begun = link.attempt(() => link.then(asked(), asked => this.#begin(asked, form)))
      if (begun instanceof Promise) begun.catch((error: LightningError) => this.#fail(error))
    }
    this.#ended = ended
    this.#again()
  }

  #begin(asked: Asked<M>, form: QueryForm): Given<M, void> {
    return this.#link.ask(
      Operation.Watch,
      false,
      writer => {
        writer.number(asked.handle)
        writer.value(form)
      },
      reader => {
        this.#held = held(this.#link, reader.number())
        if (this.#stopped) return release(this.#link, this.#held)
        this.#link.listen(this.#held.number, event => {
          if (event instanceof LightningError) return this.#fail(event)
          if (event !== 'again') return this.#hear(event)
          this.#isWhole = true
          this.#again()
        })
      },
    )
  }

  #hear(reader: Reader): void {
    if (this.#stopped) return
    const isWhole = this.#isWhole
    this.#isWhole = false
    const rows = isWhole ? this.#applyWhole(reader) : this.#apply(reader)
    const of = this.#held!
    // Told when this was looked at, so that whoever is slow gets the newest state next.
    const heard = () => {
      if (this.#stopped) return
      const told = this.#link.ask(
        Operation.Heard,
        false,
        writer => writer.number(current(this.#link, of)),
        () => undefined,
      )
      if (told instanceof Promise) told.catch(() => {})
    }
    if (!rows) return heard()
    let rendered: unknown
    try {
      rendered = this.#render(rows)
    } catch (error) {
      // It is the application's, and in the way of nobody who hears of something else.
      queueMicrotask(() => {
        throw error
      })
    }
    if (rendered instanceof Promise) rendered.then(heard, heard)
    else heard()
  }

  /** Takes over a difference: `[handle, rows now, sequence, removed, changed, added]`, of which the handle was read. */
  #apply(reader: Reader): Rows<T> {
    const length = reader.number()
    const sequence = reader.number()
    const before = this.#rows
    const gone = new Set<number>()
    const removed = Array.from({ length: reader.list() }, () => {
      const at = reader.number()
      gone.add(at)
      return before[at]!
    })
    const placed = new Map<number, Row<T>>()
    const changed = Array.from({ length: reader.list() }, () => {
      reader.list()
      gone.add(reader.number())
      return place(placed, reader)
    })
    const added = Array.from({ length: reader.list() }, () => {
      reader.list()
      return place<T>(placed, reader)
    })
    const rows = new Array<Row<T>>(length)
    for (let at = 0, from = 0; at < length; at++) {
      const row = placed.get(at)
      if (row) rows[at] = row
      else {
        while (gone.has(from)) from++
        rows[at] = before[from++]!
      }
    }
    this.#rows = rows
    return told(rows, added, changed, removed, sequence)
  }

  /** All rows, as another owner tells them: what is different from those before, undefined when nothing is. */
  #applyWhole(reader: Reader): Rows<T> | undefined {
    const before = this.#rows
    this.#rows = []
    const { sequence } = this.#apply(reader)
    const places = new Map<string, number[]>()
    before.forEach((row, at) => {
      const { key } = row
      const same = places.get(key)
      if (same) same.push(at)
      else places.set(key, [at])
    })
    const gone = new Set(before.keys())
    const added: Row<T>[] = []
    const changed: Row<T>[] = []
    this.#rows = this.#rows.map((row, at) => {
      const from = places.get(row.key)?.shift()
      if (from === undefined) {
        added.push(row)
        return row
      }
      gone.delete(from)
      if (from !== at) changed.push(before[from]!)
      return before[from]!
    })
    const removed = [...gone].map(at => before[at]!)
    if (added.length + changed.length + removed.length === 0) return undefined
    return told(this.#rows, added, changed, removed, sequence)
  }

  #fail(error: LightningError): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#ended()
    if (this.#failed) this.#failed(error)
    // Without anyone to hear it, it is an unhandled rejection, and not silence; but whoever closes the database knows.
    else if (error.code !== 'Closed') void Promise.reject(error)
  }

  #stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#ended()
    this.#rows = []
    if (this.#held) {
      this.#link.forget(this.#held.number)
      release(this.#link, this.#held)
    }
  }
}

function told<T>(rows: Row<T>[], added: Row<T>[], changed: Row<T>[], removed: Row<T>[], sequence: number): Rows<T> {
  const values = (rows: Row<T>[]) => rows.map(row => row.value)
  return Object.assign(values(rows), { added: values(added), changed: values(changed), removed: values(removed), sequence })
}

function place<T>(placed: Map<number, Row<T>>, reader: Reader): Row<T> {
  const at = reader.number()
  const row = new Row<T>(reader.slice())
  placed.set(at, row)
  return row
}
