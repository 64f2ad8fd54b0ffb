// What `run.mjs` calls in a page: `window.tests`.

import * as lightning from '../../dist/index.js'
import { removeExpired } from '../inside.mjs'
import { run } from '../script.mjs'

const channel = new BroadcastChannel('clock')

window.lightning = lightning
window.tests = {
  /** Runs one conformance script on a storage; gives how many operations it has. */
  async conformance(name, storage) {
    const text = await (await fetch(`/conformance/${name}`)).text()
    const database = `conformance ${storage} ${name}`
    await lightning.destroy(database)
    let ms = 0
    let memory
    const operations = await run(text, {
      lightning,
      open: () =>
        lightning.open(database, {
          storage,
          durability: 'relaxed',
          worker: () => new Worker(new URL(`./clock-worker.mjs#${ms}`, import.meta.url), { type: 'module' }),
        }),
      clock: async at => {
        ms = at
        const set = new Promise(resolve => (channel.onmessage = resolve))
        channel.postMessage(at)
        await set
      },
      removeExpired,
    })
    await lightning.destroy(database)
    return operations
  },
}
