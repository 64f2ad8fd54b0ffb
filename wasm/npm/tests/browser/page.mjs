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
}
