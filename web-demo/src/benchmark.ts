// The same work done by this database and by IndexedDB as it is, one after the other, in this page.

import { destroy, open } from 'lightning-db'

export interface Measured {
  what: string
  lightningMs: number
  indexedDbMs: number
}

const SINGLE = 100
const MANY = 10_000
const NAME = 'places benchmark'

interface Contestant {
  put(record: Row): Promise<unknown>
  putAll(records: Row[]): Promise<unknown>
  get(id: number): Promise<unknown>
  scan(): Promise<number>
  end(): Promise<unknown>
}

interface Row {
  id: number
  text: string
}

const row = (id: number): Row => ({ id, text: `${id} `.padEnd(100, 'lorem ipsum ') })

export async function benchmark(progress: (what: string) => void): Promise<Measured[]> {
  const contestants = [await lightning(), await indexedDb()]
  const measured: Measured[] = []
  const compare = async (what: string, run: (contestant: Contestant) => Promise<unknown>) => {
    progress(what)
    const times: number[] = []
    for (const contestant of contestants) {
      const start = performance.now()
      await run(contestant)
      times.push(performance.now() - start)
    }
    measured.push({ what, lightningMs: times[0]!, indexedDbMs: times[1]! })
  }
  try {
    await compare(`${SINGLE} durable writes, one after the other`, async it => {
      for (let id = 0; id < SINGLE; id++) await it.put(row(id))
    })
    const rows = Array.from({ length: MANY }, (_, id) => row(id))
    await compare(`${MANY.toLocaleString('en')} writes at once`, it => it.putAll(rows))
    await compare('1,000 reads, one after the other', async it => {
      for (let step = 0; step < 1000; step++) await it.get((step * 7919) % MANY)
    })
    await compare(`${MANY.toLocaleString('en')} reads at once`, it =>
      Promise.all(Array.from({ length: MANY }, (_, step) => it.get((step * 7919) % MANY))),
    )
    await compare(`${MANY.toLocaleString('en')} records read in order`, async it => {
      const count = await it.scan()
      if (count !== MANY) throw new Error(`${count} records came, ${MANY} are there`)
    })
  } finally {
    for (const contestant of contestants) await contestant.end()
  }
  return measured
}

async function lightning(): Promise<Contestant> {
  await destroy(NAME)
  const db = await open(NAME)
  const rows = db.collection<Row>('rows', { key: 'id' })
  return {
    put: record => rows.put(record),
    putAll: records => rows.putMany(records),
    get: id => rows.get(id),
    scan: async () => (await rows.query().toArray()).length,
    end: async () => {
      await db.close()
      await destroy(NAME)
    },
  }
}

async function indexedDb(): Promise<Contestant> {
  await done(indexedDB.deleteDatabase(NAME))
  const opening = indexedDB.open(NAME)
  opening.onupgradeneeded = () => opening.result.createObjectStore('rows', { keyPath: 'id' })
  const db = await done(opening)
  const write = (records: Row[]) =>
    new Promise<void>((resolve, reject) => {
      // As durable as the writes beside it.
      const transaction = db.transaction('rows', 'readwrite', { durability: 'strict' })
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error)
      const rows = transaction.objectStore('rows')
      for (const record of records) rows.put(record)
    })
  return {
    put: record => write([record]),
    putAll: write,
    get: id => done(db.transaction('rows').objectStore('rows').get(id)),
    scan: async () => (await done(db.transaction('rows').objectStore('rows').getAll())).length,
    end: () => {
      db.close()
      return done(indexedDB.deleteDatabase(NAME))
    },
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
