// What `run.mjs` calls in a page of its own for each peer and round: `window.bench`.

import { keyOf, random, records } from './records.mjs'

/** Transactions that the records are loaded in. */
const LOADS = 10

const milliseconds = async work => {
  const start = performance.now()
  await work()
  return performance.now() - start
}

window.bench = {
  /** All phases for one peer, in milliseconds by name. */
  async run(peer, name, { loaded, durable, inFlight, gets, ranges }) {
    const times = {}
    let database
    let open
    // The library's own loading belongs to it: a page fetches it first.
    times['open, new'] = await milliseconds(async () => {
      ;({ open } = await import(`./peers/${peer}.mjs`))
      database = await open(name)
      await database.get(keyOf(0))
    })
    const all = records(0, loaded)
    const part = loaded / LOADS
    times.load = await milliseconds(async () => {
      for (let first = 0; first < loaded; first += part) await database.load(all.slice(first, first + part))
    })
    const single = records(loaded, durable + inFlight, loaded)
    times['put, durable, one by one'] = await milliseconds(async () => {
      for (const record of single.slice(0, durable)) await database.put(record)
    })
    times['put, in flight'] = await milliseconds(() => Promise.all(single.slice(durable).map(record => database.put(record))))
    const next = random(1)
    const keys = Array.from({ length: gets }, () => keyOf(next() % loaded))
    times['get, one by one'] = await milliseconds(async () => {
      for (const key of keys) if ((await database.get(key)).id !== key) throw new Error(`${key} is not what was found`)
    })
    times['get, together'] = await milliseconds(async () => {
      const found = await (database.getAll?.(keys) ?? Promise.all(keys.map(key => database.get(key))))
      if (new Set(found.map(record => record.id)).size !== new Set(keys).size) throw new Error('some were not found')
    })
    const count = loaded + single.length
    times.scan = await milliseconds(async () => {
      const found = await database.scan()
      if (found !== count) throw new Error(`${found} records were scanned, there are ${count}`)
    })
    times['range by an index, limit 20'] = await milliseconds(async () => {
      for (let range = 0; range < ranges; range++) {
        const found = await database.range(next() % (loaded / 2))
        if (found.length !== 20) throw new Error(`${found.length} records in a range of 20`)
      }
    })
    await database.close()
    return { times, bytes: await this.stored() }
  },

  /** A page opens a database that is there. */
  async reopen(peer, name) {
    let database
    const time = await milliseconds(async () => {
      const { open } = await import(`./peers/${peer}.mjs`)
      database = await open(name)
      if (!(await database.get(keyOf(0)))) throw new Error('the record is not there')
    })
    await database.close()
    return time
  },

  /** What the origin stores. */
  async stored() {
    const { usage } = await navigator.storage.estimate()
    return usage
  },
}
