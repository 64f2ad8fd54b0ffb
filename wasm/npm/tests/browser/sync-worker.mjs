// Runs one conformance script without promises, in a worker of its own.

import * as lightning from '../../dist/sync.js'
import { removeExpired } from '../inside.mjs'
import { run } from '../script.mjs'

let ms = 0
Date.now = () => ms

self.onmessage = async ({ data: { name, text, storage } }) => {
  let databases = 0
  try {
    const ran = await run(text, {
      lightning,
      keeps: storage !== 'memory',
      open: options => lightning.open(`${name} ${databases}`, { ...options, storage, durability: 'relaxed' }),
      forget: () => void databases++,
      clock: at => void (ms = at),
      removeExpired,
    })
    self.postMessage({ ran, databases })
  } catch (error) {
    self.postMessage({ failed: error.message })
  }
}
