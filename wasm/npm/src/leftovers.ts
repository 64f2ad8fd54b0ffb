// What a restore leaves that was broken off with its tab: files that have not got their name, or an empty database in IndexedDB.

import * as idb from './idb.js'
import { ownerLock } from './messages.js'
import * as opfs from './opfs.js'

/** Takes it away, of a database that nobody else has or restores meanwhile. Whether one in IndexedDB is no more. */
export async function sweep(name: string): Promise<boolean> {
  const files = opfs.unreachable().then(why => why === undefined && opfs.removeFiles(name, true))
  const [, removed] = await Promise.all([files, idb.sweep(name)])
  return removed
}

/** Takes it away of all databases that nobody has or restores. */
export async function sweepAll(): Promise<void> {
  // Without locks nobody knows.
  if (!globalThis.navigator?.locks) return
  const [files, stores] = await Promise.all([
    opfs.unreachable().then(why => (why === undefined ? opfs.listNames(true) : [])),
    idb.listMarked(),
  ])
  const free = { ifAvailable: true }
  const swept = [...new Set([...files, ...stores])].map(name => navigator.locks.request(ownerLock(name), free, lock => lock && sweep(name)))
  // What cannot be taken away now is another time.
  await Promise.allSettled(swept)
}
