// Lightning DB in Node, Deno and Bun, without promises.

import type { OpenOptions, SyncDatabase } from './database.js'
import { listFiles, removeFiles } from './files.js'
import { syncDatabase } from './local.js'
import { openLocal } from './here.js'
import { secretOf, unlockingNow } from './secret.js'

export * from './interface.js'
export { SyncQuery } from './query.js'
export { restore } from './node.js'

/** Opens the database at `location`, a path; `.ldb` is added where it has no ending. It is made where it is missing. */
export function open(location: string, options: OpenOptions = {}): SyncDatabase {
  const secret = secretOf(options)
  return syncDatabase(unlockingNow(secret, () => openLocal(location, options, secret)), options.durability ?? 'sync')
}

/** Deletes the database at `location`; false when there is none. */
export function destroy(location: string): boolean {
  return removeFiles(location)
}

/** The databases in a folder. */
export function list(folder = '.'): string[] {
  return listFiles(folder)
}
