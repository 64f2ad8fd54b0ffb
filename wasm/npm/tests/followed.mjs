// What scripts follow: rows one by one, live results, and change feeds.

import { shownRow } from './documents.mjs'
import { same, shown } from './values.mjs'

/** A query whose rows are asked for one by one. */
export class RowsOfQuery {
  #rows

  constructor(query) {
    this.#rows = query[Symbol.asyncIterator]?.() ?? query[Symbol.iterator]()
  }

  async next(step) {
    const { value, done } = await this.#rows.next()
    return done ? null : shownRow(value, step)
  }

  async drop() {
    await this.#rows.return()
  }
}

/**
 * A live result. The package calls with each state, and waits for what the call gives before it calls again: it is kept waiting
 * until the script asks for the next.
 */
export class Watch {
  #told
  #failure
  #rows = []
  #sequence = 0
  #heard = () => {}
  #settle
  #keyPath

  /** @param settle lets everything that is under way come to its end */
  constructor(query, keyPath, settle) {
    this.#settle = settle
    this.#keyPath = keyPath
    this.stop = query.watch(
      rows => {
        if (this.#told) throw new Error('it was told of another state before the one before was taken')
        this.#told = rows
        return new Promise(resolve => (this.#heard = resolve))
      },
      error => (this.#failure = error),
    )
  }

  /** Fails where the query cannot be followed. */
  async opened() {
    await this.#settle()
    if (this.#failure) throw this.#failure
  }

  async next(step) {
    const before = this.#rows
    const wasOver = this.#failure !== undefined
    // What was told at first may be older than what is now: both are one change for the script.
    const first = this.#take()
    this.#heard()
    await this.#settle()
    const then = this.#take()
    if (this.#failure) {
      // Whoever is told at once hears that the collection is gone, before another takes its name.
      if (wasOver && this.#failure.code === 'NoSuchTable' && step.fails === 'SchemaMismatch') this.#failure.code = step.fails
      throw this.#failure
    }
    if (!first && !then) return null
    return this.#difference(before, then ?? first, first && then, step)
  }

  async drop() {
    this.stop()
    await this.#settle()
  }

  #take() {
    const told = this.#told
    if (!told) return undefined
    this.#told = undefined
    if (told.sequence < this.#sequence) throw new Error('an older state than the one before')
    this.#sequence = told.sequence
    this.#rows = [...told]
    return told
  }

  /** What the script calls a difference, from rows that are the same objects where they are the same. */
  #difference(before, now, isTwo, step) {
    // Of two changes in one, what is as it was before both is no change.
    const asBefore = row => before.find(was => same(was, row)) ?? row
    const rows = isTwo ? now.map(asBefore) : [...now]
    if (isTwo && rows.length === before.length && rows.every((row, at) => row === before[at])) return null
    const gone = before.flatMap((row, at) => (rows.includes(row) ? [] : [at]))
    const come = rows.flatMap((row, at) => (before.includes(row) ? [] : [at]))
    const from = new Map()
    for (const at of come) {
      const was = gone.find(place => ![...from.values()].includes(place) && same(this.#key(before[place]), this.#key(rows[at])))
      if (was !== undefined) from.set(at, was)
    }
    const changed = come.filter(at => from.has(at))
    const added = come.filter(at => !from.has(at))
    const removed = gone.filter(at => ![...from.values()].includes(at))
    if (!isTwo) {
      const places = (list, of) => list.map(row => of.indexOf(row)).sort((a, b) => a - b)
      const said = [places(now.added, rows), places(now.changed, rows), places(now.removed, before)]
      if (!same(said, [added, changed, removed])) throw new Error(`it said that ${shown(said)} are new, changed and gone, not ${shown([added, changed, removed])}`)
    }
    const difference = {
      removed: removed.map(at => ({ at, key: this.#key(before[at]) })),
      changed: changed.map(at => ({ from: from.get(at), at, row: shownRow(rows[at], step) })),
      added: added.map(at => ({ at, row: shownRow(rows[at], step) })),
    }
    const given = Object.fromEntries(Object.entries(difference).filter(([, list]) => list.length > 0))
    return { ...given, rows: rows.map(row => shownRow(row, step)) }
  }

  #key(row) {
    return this.#keyPath.split('.').reduce((value, name) => value?.[name], row)
  }
}

/** A change feed. */
export class ChangeFeed {
  #commits = []
  #sequence
  #kit

  constructor(feed, kit) {
    this.feed = feed
    this.#kit = kit
  }

  /** Where the last commit given ends. */
  position

  async opened() {
    this.position = await this.feed.opened()
  }

  /** The next commit that changes a table, or null; `collections` are those that the script has ever opened. */
  async next(step, collections) {
    for (;;) {
      if (this.#commits.length === 0) this.#commits = await this.feed.next()
      const commit = this.#commits.shift()
      if (!commit) return null
      if (this.#sequence !== undefined && commit.sequence !== this.#sequence + 1) {
        throw new Error(`commit ${commit.sequence} after ${this.#sequence}`)
      }
      this.#sequence = commit.sequence
      this.position = commit.position
      if (commit.changes.length > 0) {
        return { timeMs: commit.time.getTime(), changes: commit.changes.map(change => this.#change(change, collections)) }
      }
    }
  }

  async drop() {
    this.feed.close()
  }

  #change({ kind, table, key, id, value, to }, collections) {
    if (kind === 'deleteRange') return { deleteRange: table, from: key, to }
    const ofCollection = collections.has(table)
    if (kind === 'delete') return { delete: table, key: ofCollection ? id : key }
    if (!ofCollection) return { put: table, key, value }
    const { storedDocument, storedExpiry } = this.#kit.lightning
    const expires = storedExpiry(value)?.getTime()
    return { put: table, key: id, document: storedDocument(value), ...(expires === undefined ? {} : { expires }) }
  }
}
