// Opens a database without promises, and says where it is, or the error.

import { open } from '../../dist/sync.js'

self.onmessage = async ({ data: { name, options } }) => {
  try {
    const database = await open(name, options)
    database.close()
    self.postMessage(database.storage)
  } catch (error) {
    self.postMessage(error.code)
  }
}
