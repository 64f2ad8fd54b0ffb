// What the programs here call in a page: `window.tests`.

import * as lightning from '../../dist/index.js'
import { removeExpired } from '../inside.mjs'
import { run } from '../script.mjs'

window.lightning = lightning
window.tests = {
  /** Runs one conformance script on a storage; gives how many operations were done. */
  async conformance(script, storage) {
    const text = await (await fetch(`/conformance/${script}`)).text()
    const name = `conformance ${storage} ${script}`
    let databases = 0
    const database = () => `${name} ${databases}`
    await lightning.destroy(database())
    let ms = 0
    // Whoever is left of another script hears nothing of this clock.
    const clockName = `${name} ${crypto.randomUUID()}`
    const clock = new BroadcastChannel(clockName)
    try {
      return await run(text, {
        lightning,
        keeps: storage !== 'memory',
        open: options =>
          lightning.open(database(), {
            ...options,
            storage,
            durability: 'relaxed',
            worker: () => {
              const hash = `${ms}/${encodeURIComponent(clockName)}`
              return new Worker(new URL(`./clock-worker.mjs#${hash}`, import.meta.url), { type: 'module' })
            },
          }),
        forget: async () => {
          databases++
          await lightning.destroy(database())
        },
        clock: async at => {
          ms = at
          const set = new Promise(resolve => (clock.onmessage = resolve))
          clock.postMessage(at)
          await set
        },
        removeExpired,
      })
    } finally {
      clock.close()
      for (; databases >= 0; databases--) await lightning.destroy(database()).catch(() => {})
    }
  },

  /** The same without promises, in a worker. */
  async conformanceWithoutPromises(script, storage) {
    const text = await (await fetch(`/conformance/${script}`)).text()
    const name = `conformance sync ${script}`
    for (const which of [0, 1]) await lightning.destroy(`${name} ${which}`)
    const worker = new Worker(new URL('./sync-worker.mjs', import.meta.url), { type: 'module' })
    try {
      const { ran, failed } = await new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data)
        worker.onerror = event => reject(new Error(event.message))
        worker.postMessage({ name, text, storage })
      })
      if (failed) throw new Error(failed)
      return ran
    } finally {
      worker.terminate()
    }
  },

  /** Writes until nobody is there any more; `acknowledged(id)` is told of every document that was written. */
  async writeUntilKilled(name, options, begin) {
    const { documents } = await openDocuments(name, options)
    let next = begin
    const write = async () => {
      for (;;) {
        const id = next++
        await documents.put({ id, half: id >> 1, text: `document ${id}` })
        void window.acknowledged(id)
      }
    }
    for (let writer = 0; writer < 8; writer++) void write()
  },

  /** The documents that are there, and what is wrong with the database. */
  async survivors(name) {
    const { database, documents } = await openDocuments(name, {})
    const rows = await documents.query().toArray()
    const { problems } = await database.verify()
    await database.close()
    return {
      storage: database.storage,
      ids: rows.filter(({ id, text }) => text === `document ${id}`).map(({ id }) => id),
      problems,
    }
  },

  /** The data file of a database in the origin private file system, in base64. */
  async dataFile(name) {
    const directory = await navigator.storage.getDirectory()
    const file = await (await directory.getFileHandle(`${name}.ldb`)).getFile()
    const url = await new Promise(resolve => {
      const reader = new FileReader()
      reader.onload = () => resolve(reader.result)
      reader.readAsDataURL(file)
    })
    return url.slice(url.indexOf(',') + 1)
  },

  /** Makes a database of such a file. */
  async putDataFile(name, base64) {
    const directory = await navigator.storage.getDirectory()
    const file = await directory.getFileHandle(`${name}.ldb`, { create: true })
    const writable = await file.createWritable()
    await writable.write(await (await fetch(`data:application/octet-stream;base64,${base64}`)).blob())
    await writable.close()
  },
}

async function openDocuments(name, options) {
  const database = await lightning.open(name, options)
  const documents = database.collection('documents', { key: 'id', indexes: { half: 'half' } })
  await documents.opened()
  return { database, documents }
}
