import { open as openDatabase } from '/lightning/index.js'

export async function open(name, storage = 'opfs') {
  const database = await openDatabase(name, { storage })
  const records = database.collection('records', { key: 'id', indexes: { n: 'n' } })
  return {
    load: all => records.putMany(all),
    put: record => records.put(record),
    get: key => records.get(key),
    scan: async () => (await records.query().toArray()).length,
    range: from => records.where('n').from(from).orderBy('n').limit(20).toArray(),
    close: () => database.close(),
  }
}
