// Runs one script of `tests/conformance` against this package, wherever it runs: see `tests/src/conformance/script.rs`.

import { read, same, shown } from './values.mjs'

/**
 * @param text the script
 * @param kit `lightning`: the package; `open()`: opens the script's database; `clock(ms)`: sets the wall clock of the engine
 * @returns how many operations it has
 */
export async function run(text, kit) {
  const script = new Script(kit)
  await script.open()
  let operations = 0
  for (const [at, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue
    try {
      await script.step(JSON.parse(line))
    } catch (error) {
      throw new Error(`line ${at + 1}: ${line}\n${error.stack}`, { cause: error })
    }
    operations++
  }
  await script.database.close()
  return operations
}

class Script {
  constructor(kit) {
    this.kit = kit
    this.collections = new Map()
    this.transactions = new Map()
  }

  async open() {
    this.database = await this.kit.open()
  }

  value(json) {
    return read(json, this.kit.lightning)
  }

  async step(step) {
    let given
    try {
      given = await this.perform(step)
    } catch (error) {
      if (error.name !== 'LightningError') throw error
      if (step.fails === error.code) return
      throw new Error(`failed with ${error.code}: ${error.message}`, { cause: error })
    }
    if ('fails' in step) throw new Error(`it did not fail with ${step.fails}`)
    if ('gives' in step && !same(this.value(step.gives), given)) throw new Error(`it gave ${shown(given)}`)
  }

  async perform(step) {
    switch (step.do) {
      case 'clock':
        await this.kit.clock(step.ms)
        return null
      case 'reopen':
        for (const transaction of this.transactions.values()) transaction.rollback()
        this.transactions.clear()
        this.collections.clear()
        await this.database.close()
        await this.open()
        return null
      case 'open': {
        const migrate = Object.fromEntries(
          Object.entries(step.migrations ?? {}).map(([from, update]) => [from, this.value(update)]),
        )
        const collection = this.database.collection(step.collection, this.value(step.schema), { migrate })
        await collection.opened()
        this.collections.set(step.collection, collection)
        return null
      }
      case 'dropCollection':
        return this.database.dropCollection(step.collection)
      case 'dropIndex':
        return this.collection(step).dropIndex(step.index)
      case 'removeExpired':
        await this.kit.removeExpired(this.database)
        return null
      case 'check':
        return (await this.database.verify()).problems.length
      case 'begin':
        this.transactions.set(step.as, await this.database.begin({ isolation: step.isolation }))
        return null
      case 'commit':
      case 'rollback': {
        const transaction = this.transactions.get(step.in)
        this.transactions.delete(step.in)
        await transaction[step.do]()
        return null
      }
      case 'transaction': {
        const tx = await this.database.begin()
        try {
          for (const inner of step.steps) {
            const given = await this.work(tx.collection(this.collection(inner)), inner)
            if ('gives' in inner && !same(this.value(inner.gives), given)) {
              throw new Error(`${shown(inner)} gave ${shown(given)}`)
            }
          }
          await tx.commit()
        } finally {
          tx.rollback()
        }
        return null
      }
      default: {
        const collection = this.collection(step)
        if (step.in) return this.work(this.transactions.get(step.in).collection(collection), step)
        return this.work(collection, step)
      }
    }
  }

  collection(step) {
    const collection = this.collections.get(step.collection)
    if (!collection) throw new Error('the script has not opened this collection')
    return collection
  }

  query(documents, step) {
    const query = documents.query()
    return 'query' in step ? query.asks(this.value(step.query)) : query
  }

  listed(rows, step) {
    return step.keys ? rows.map(row => row[step.keys] ?? null) : rows
  }

  async work(documents, step) {
    const document = () => this.value(step.document)
    const key = () => this.value(step.key)
    switch (step.do) {
      case 'put':
        await documents.put(document(), 'expiresMs' in step ? { expires: new Date(step.expiresMs) } : undefined)
        return null
      case 'insert':
        await documents.insert(document())
        return null
      case 'replace':
        await documents.replace(document())
        return null
      case 'get':
        return (await documents.get(key())) ?? null
      case 'delete':
        return documents.delete(key())
      case 'getBy':
        return (await documents.getBy(step.index, ...step.values.map(value => this.value(value)))) ?? null
      case 'update':
        return documents.update(key(), this.value(step.update))
      case 'swap':
        return documents.compareAndSwap(this.value(step.expected) ?? undefined, document())
      case 'query':
        return this.listed(await this.query(documents, step).toArray(), step)
      case 'pages': {
        const pages = []
        for (let token = null; ; ) {
          const query = this.query(documents, step)
          const { rows, next } = await (token ? query.after(token) : query).page()
          if (rows.length > 0) pages.push(this.listed(rows, step))
          if (next === null) return pages
          token = next
        }
      }
      case 'explain': {
        const { index, isSorted } = await this.query(documents, step).explain()
        return { index, sorted: isSorted }
      }
      case 'count':
        return this.query(documents, step).count()
      case 'min':
      case 'max':
        return this.query(documents, step)[step.do](step.path)
      case 'updateWhere':
        return this.query(documents, step).update(this.value(step.update))
      case 'deleteWhere':
        return this.query(documents, step).delete()
      default:
        throw new Error(`there is no operation '${step.do}'`)
    }
  }
}
