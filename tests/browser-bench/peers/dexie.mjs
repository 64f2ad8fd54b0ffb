import Dexie from '/modules/dexie/dist/dexie.mjs'

export async function open(name) {
  const database = new Dexie(name, { chromeTransactionDurability: 'strict' })
  database.version(1).stores({ records: 'id, n' })
  await database.open()
  const { records } = database
  return {
    load: all => records.bulkPut(all),
    put: record => records.put(record),
    get: key => records.get(key),
    getAll: keys => records.bulkGet(keys),
    scan: async () => (await records.toArray()).length,
    range: from => records.where('n').aboveOrEqual(from).limit(20).toArray(),
    close: async () => database.close(),
  }
}
