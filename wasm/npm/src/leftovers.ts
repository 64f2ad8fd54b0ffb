// What a restore leaves that was broken off with its tab: files that have not got their name, or an empty database in IndexedDB.

import * as idb from './idb.js'
import { ownerLock } from './messages.js'
import * as opfs from './opfs.js'

/** Takes it away, of a database that nobody else has or restores meanwhile. Whether one in IndexedDB is no more. */
export async function sweep(name: string): Promise<boolean> {
  if (!(await opfs.unreachable())) await opfs.removeFiles(name, true)
  // Whoever finds a database there leaves it to another worker.
  return !FILES_ALONE && idb.sweep(name)
}

/** Takes it away of all databases that nobody has or restores. */
export async function sweepAll(): Promise<void> {
  // Without locks nobody knows.
  if (!navigator.locks) return
  const [files, stores] = await Promise.all([(await opfs.unreachable()) ? [] : opfs.listNames(true), idb.listMarked()])
  for (const name of [...files, ...stores]) {
    // What cannot be taken away now is another time.
    await navigator.locks.request(ownerLock(name), { ifAvailable: true }, lock => lock && sweep(name)).catch(() => {})
  }
}
