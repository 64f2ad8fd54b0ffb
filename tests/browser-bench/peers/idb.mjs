import { openDB } from '/modules/idb/build/index.js'

export async function open(name) {
  const database = await openDB(name, 1, {
    upgrade: made => made.createObjectStore('records', { keyPath: 'id' }).createIndex('n', 'n'),
  })
  const write = () => database.transaction('records', 'readwrite', { durability: 'strict' })
  return {
    load: async all => {
      const transaction = write()
      await Promise.all([...all.map(record => transaction.store.put(record)), transaction.done])
    },
    put: async record => {
      const transaction = write()
      await Promise.all([transaction.store.put(record), transaction.done])
    },
    get: key => database.get('records', key),
    getAll: keys => {
      const { store } = database.transaction('records')
      return Promise.all(keys.map(key => store.get(key)))
    },
    scan: async () => (await database.getAll('records')).length,
    range: from => database.getAllFromIndex('records', 'n', IDBKeyRange.lowerBound(from), 20),
    close: async () => database.close(),
  }
}
