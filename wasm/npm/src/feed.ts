// The change feed: every commit in order, from a position that an application keeps.

import { type Value, decode } from './cbor.js'
import { LightningError } from './errors.js'
import { type Given, type Held, type Link, type Mode, held, release } from './link.js'
import { Operation } from './protocol.js'

/** Where a feed begins. */
export type Since = 'now' | 'oldest' | Uint8Array

/** One change of one table. Keys and values are as they are stored. */
export interface Change {
  kind: 'put' | 'delete' | 'deleteRange'
  table: string
  /** The key; for a range its first, empty for before every key. */
  key: Uint8Array
  /** The key of a document, or of a table whose keys are of every kind; undefined in others, and of ranges. */
  id?: Value
  /** The value that was put; null when it is too long for the log and was replaced since. */
  value?: Uint8Array | null
  /** The first key behind a range; null for the end of the table. */
  to?: Uint8Array | null
}

/** What one commit did. */
export interface Commit {
  sequence: number
  /** When. */
  time: Date
  /** To go on behind it. */
  position: Uint8Array
  changes: Change[]
}

/** How often is looked for new commits. */
const POLL_MS = 50

export class Feed<M extends Mode> {
  #handle: Given<M, Held>
  #held: Held | undefined
  #closed = false
  /**
   * The last commit given, or the one that the feed began behind: going on from here gives what comes next. Undefined until it is
   * opened.
   */
  position: Uint8Array | undefined

  /** @internal */
  constructor(
    private readonly link: Link<M>,
    private readonly since: Since,
  ) {
    // At once, so that 'now' is when it was asked for.
    this.#handle = this.#begin(since)
  }

  #begin(since: Since): Given<M, Held> {
    const begun = this.link.ask(
      Operation.Changes,
      false,
      writer => writer.value(since === 'now' ? null : since === 'oldest' ? true : since),
      reader => {
        const [handle, position] = reader.value() as [number, Uint8Array]
          this.position ??= position
          return (this.#held = held(this.link, handle))
      },
    )
    if (begun instanceof Promise) begun.catch(() => {})
    return begun
  }

  /** Fails where there can be no such feed, as every `next` does; gives where it begins. */
  opened(): Given<M, Uint8Array> {
    return this.link.then(this.#handle, () => this.position!)
  }

  /** The commits that there are and were not given yet, as many as belong into one answer; none at the end. */
  next(): Given<M, Commit[]> {
    // Another owner goes on where the one before ended.
    if (this.#held && this.#held.generation !== this.link.generation) this.#handle = this.#begin(this.position ?? this.since)
    const { link } = this
    return link.then(link.more(), ({ nextCommits }) =>
      link.then(this.#handle, handle =>
        nextCommits(link, handle, position => {
          this.position = position
        }),
      ),
    )
  }

  /** Ends it. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const { link } = this
    const handle = this.#handle
    if (handle instanceof Promise) handle.then(held => release(link, held)).catch(() => {})
    else if (this.#held) release(link, this.#held)
  }

  /** Every commit, waiting for the next ones, until it is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Commit, void, undefined> {
    try {
      while (!this.#closed) {
        const commits = await (this.next() as Promise<Commit[]>).catch(again)
        yield* commits
        if (commits.length === 0) await new Promise(resolve => setTimeout(resolve, POLL_MS))
      }
    } catch (error) {
      if (!(this.#closed && error instanceof LightningError)) throw error
    } finally {
      this.close()
    }
  }
}

/** What the owner before did not answer is asked of the next. */
function again(error: LightningError): Commit[] {
  if (error.code === 'Restarted') return []
  throw error
}

/** The document that was put into a collection, from the value of a change. */
export function storedDocument(value: Uint8Array): unknown {
  return decode(value.subarray(value[0] === GOES ? GOES_BYTES : 1))
}

/** When that document goes by itself; undefined when it stays. */
export function storedExpiry(value: Uint8Array): Date | undefined {
  if (value[0] !== GOES) return undefined
  return new Date(Number(new DataView(value.buffer, value.byteOffset).getBigUint64(1, true)))
}

/** What the value of a document that goes begins with, before the time in milliseconds and the document. */
const GOES = 1
const GOES_BYTES = 9
