// A service worker that opens databases when it is asked to, and says what it finds.

import * as lightning from '../../dist/service-worker.js'

const open = new Map()
self.addEventListener('install', () => self.skipWaiting())
self.addEventListener('activate', event => event.waitUntil(self.clients.claim()))
self.addEventListener('message', event => {
  const { name, options, put, close } = event.data
  const work = async () => {
    try {
      if (close) {
        const database = open.get(name)
        open.delete(name)
        return await database.close()
      }
      const database = open.get(name) ?? (await lightning.open(name, options))
      open.set(name, database)
      const items = database.collection('items', { key: 'id' })
      if (put) await items.put(put)
      return { storage: database.storage, ids: (await items.query().toArray()).map(({ id }) => id) }
    } catch (error) {
      return error.code ?? String(error.stack)
    }
  }
  event.waitUntil(work().then(result => event.ports[0].postMessage(result)))
})
