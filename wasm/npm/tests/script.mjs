// Runs one script of `tests/conformance` against this package, wherever it runs: see the `README.md` there.

import { asked, work } from './documents.mjs'
import { ChangeFeed, RowsOfQuery, Watch } from './followed.mjs'
import { each, settled, then } from './given.mjs'
import { workOnTable } from './tables.mjs'
import { read, same, shown } from './values.mjs'

/** What an operation may have beside its name. */
const MEMBERS = new Set(
  (
    'above after as at below by cbor collection do document expected expires fails feedRetentionBytes from gives in index ' +
    'isolation key keys limit migrations ms of path query reverse schema since steps table to update value values'
  ).split(' '),
)

/**
 * @param text the script
 * @param kit `lightning`: the package; `open(options)`: opens the script's database, `forget()`: the next `open` is to open
 *   another, empty one; `clock(ms)`: sets the wall clock of the engine; `keeps`: what is closed can be opened again;
 *   `removeExpired(database)`
 * @returns how many operations were done, and how many passed over because JavaScript has no such thing. Where nothing is kept, a
 *   script ends where it would open its database again.
 */
export async function run(text, kit) {
  const script = new Script(kit)
  await script.open({})
  let operations = 0
  let passedOver = 0
  try {
    for (const [at, line] of text.split('\n').entries()) {
      if (line === '' || line.startsWith('#')) continue
      try {
        const step = JSON.parse(line)
        onlyKnownMembers(step)
        if (!kit.keeps && step.do === 'reopen') break
        if (isForeign(step)) {
          passedOver++
          continue
        }
        await settled(
          () => script.perform(step),
          (error, given) => script.compare(step, error, given),
        )
      } catch (error) {
        throw new Error(`line ${at + 1}: ${line.slice(0, 500)}\n${error.stack}`, { cause: error })
      }
      operations++
    }
  } finally {
    await script.forget()
    await script.database.close()
  }
  return { operations, passedOver }
}

class Script {
  collections = new Map()
  /** Names of all collections there ever were. */
  known = new Set()
  tables = new Map()
  /** What has a name by `as` and is ended: transactions, snapshots, rows, live results, feeds. */
  named = new Map()
  /** Page tokens and positions: bytes. */
  tokens = new Map()

  constructor(kit) {
    this.kit = kit
  }

  /** Gives something a name; what had it before is ended. */
  async name(name, named) {
    await end(this.named.get(name))
    this.named.set(name, named)
  }

  async open({ feedRetentionBytes = 0 }) {
    this.database = await this.kit.open({ feedRetentionBytes })
  }

  value(json) {
    return read(json, this.kit.lightning)
  }

  /** Whether what has come is what must come. */
  compare(step, error, given) {
    if (error) {
      if (error.name !== 'LightningError') throw error
      if (step.fails === error.code) return
      throw 'fails' in step ? new Error(`it failed with ${error.code}: ${error.message}`, { cause: error }) : error
    }
    if ('fails' in step) throw new Error(`it did not fail with ${step.fails}`)
    if (!('gives' in step)) return
    const expected = this.value(step.gives)
    const isInPart = step.do === 'explain' || step.do === 'describe'
    const isSame = isInPart ? Object.keys(expected).every(name => same(expected[name], given[name])) : same(expected, given)
    if (!isSame) throw new Error(`it gave ${shown(given)}`)
  }

  perform(step) {
    switch (step.do) {
      case 'clock':
        return this.kit.clock(step.ms)
      case 'reopen':
      case 'newDatabase':
        return this.reopen(step)
      case 'close':
        return this.database.close()
      case 'open':
      case 'openExisting':
        return this.openCollection(step)
      case 'openTable': {
        const table = this.database.table(step.table, { key: step.keys, value: step.values })
        return then(table.opened(), () => this.tables.set(step.table, table))
      }
      case 'dropCollection':
        return this.database.dropCollection(step.collection)
      case 'dropTable':
        return this.database.dropTable(step.table)
      case 'removeExpired':
        return this.kit.removeExpired(this.database)
      case 'check':
        return then(this.database.verify(), ({ problems }) => problems.length)
      case 'begin':
        return then(this.database.begin({ isolation: step.isolation }), tx => this.name(step.as, tx))
      case 'commit':
      case 'rollback': {
        const transaction = this.named.get(step.in)
        this.named.delete(step.in)
        return transaction[step.do]()
      }
      case 'transaction':
        return this.database.transaction(tx => this.steps(step.steps, inner => this.work(tx, inner)), { retry: false })
      case 'snapshot':
        return then(this.database.snapshot(), snapshot => this.name(step.as, snapshot))
      case 'rows':
        return this.name(step.as, new RowsOfQuery(this.query(step)))
      case 'watch':
        return this.watch(step)
      case 'changes':
        return this.changes(step)
      case 'position':
        return this.position(step)
      case 'next':
        return this.named.get(step.of).next(step, this.known)
      case 'drop': {
        const named = this.named.get(step.of)
        this.named.delete(step.of)
        return end(named)
      }
      default: {
        const scope = step.in ?? step.at
        return this.work(scope === undefined ? undefined : this.named.get(scope), step)
      }
    }
  }

  /** An operation on documents or a table, now or in a transaction or snapshot. */
  work(scope, step) {
    if ('table' in step) {
      const table = opened(this.tables, step.table)
      return workOnTable(scope ? scope.table(table) : table, step, this.kit.lightning)
    }
    const collection = opened(this.collections, step.collection)
    return work(scope ? scope.collection(collection) : collection, step, this.kit.lightning, this.tokens)
  }

  /** Operations one after the other, up to the first that fails and is not said to. */
  steps(steps, perform) {
    return each(steps, step =>
      settled(
        () => perform(step),
        (error, given) => this.compare(step, error, given),
      ),
    )
  }

  async reopen(step) {
    await this.forget()
    await this.database.close()
    if (step.do === 'newDatabase') await this.kit.forget()
    await this.open(step)
  }

  /** Ends all that hangs on the database. */
  async forget() {
    for (const named of this.named.values()) await end(named)
    this.named.clear()
    this.collections.clear()
    this.tables.clear()
  }

  openCollection(step) {
    const migrate = Object.entries(step.migrations ?? {}).map(([from, how]) => [from, this.migration(how)])
    const schema = step.do === 'open' ? this.value(step.schema) : undefined
    const collection = this.database.collection(step.collection, schema, { migrate: Object.fromEntries(migrate) })
    return then(collection.opened(), () => {
      this.collections.set(step.collection, collection)
      this.known.add(step.collection)
    })
  }

  migration(how) {
    if (!how.transaction) return this.value(how)
    const one = documents => step => work(documents, step, this.kit.lightning, this.tokens)
    return { transaction: documents => this.steps(how.transaction, one(documents)) }
  }

  query(step) {
    return asked(opened(this.collections, step.collection), step, this.kit.lightning, this.tokens)
  }

  async watch(step) {
    const { key } = (await opened(this.collections, step.collection).describe()) ?? { key: '' }
    // Answers and events come in one order: behind the second answer nothing is left of what was asked before.
    const settle = async () => {
      for (let round = 0; round < 3; round++) await settled(() => this.database.stats(), () => Promise.resolve())
    }
    const watch = new Watch(this.query(step), key, settle)
    await watch.opened()
    await this.name(step.as, watch)
  }

  async changes({ since, as }) {
    const from = since === 'now' || since === 'oldest' ? since : (this.tokens.get(since) ?? this.value(since))
    const feed = new ChangeFeed(this.database.changes(from), this.kit)
    await feed.opened()
    await this.name(as, feed)
  }

  async position({ of, as }) {
    if (of) return void this.tokens.set(as, this.named.get(of).position)
    const snapshot = await this.database.snapshot()
    this.tokens.set(as, snapshot.position)
    snapshot.close()
  }
}

function opened(map, name) {
  const found = map.get(name)
  if (!found) throw new Error(`the script has not opened '${name}'`)
  return found
}

/** Whatever has a name is ended in its own way. */
function end(named) {
  return named?.drop?.() ?? named?.close?.() ?? named?.rollback?.()
}

/**
 * What JavaScript does not have: queries as text, whose parser no page has to fetch; and an update that is a map means something
 * else, to set these fields.
 */
function isForeign({ query, update }) {
  return typeof query === 'string' || (update !== undefined && !Array.isArray(update))
}

/** Refuses what is written wrong, which would say nothing. */
function onlyKnownMembers(step) {
  for (const name of Object.keys(step)) if (!MEMBERS.has(name)) throw new Error(`an operation has no '${name}'`)
  if ('gives' in step && 'fails' in step) throw new Error('it cannot give something and fail')
  step.steps?.forEach(onlyKnownMembers)
}
