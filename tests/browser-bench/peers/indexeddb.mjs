// IndexedDB itself, with as little around it as there can be.

export async function open(name) {
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1)
    request.onupgradeneeded = () => request.result.createObjectStore('records', { keyPath: 'id' }).createIndex('n', 'n')
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  const write = work =>
    new Promise((resolve, reject) => {
      const transaction = database.transaction('records', 'readwrite', { durability: 'strict' })
      work(transaction.objectStore('records'))
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error)
    })
  const answer = request =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
  const store = () => database.transaction('records').objectStore('records')
  return {
    load: all => write(records => all.forEach(record => records.put(record))),
    put: record => write(records => records.put(record)),
    get: key => answer(store().get(key)),
    getAll: keys => {
      const records = store()
      return Promise.all(keys.map(key => answer(records.get(key))))
    },
    scan: async () => (await answer(store().getAll())).length,
    range: from => answer(store().index('n').getAll(IDBKeyRange.lowerBound(from), 20)),
    close: async () => database.close(),
  }
}
