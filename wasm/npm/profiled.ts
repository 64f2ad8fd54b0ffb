// What the profile opens databases by: as a page does, and as a worker does without promises.

import type { Database } from './src/database.js'
import { asyncDatabase } from './src/local.js'
import { openLocal } from './src/here.js'

export { open as openNow } from './src/sync-node.js'

/** What a page commits is numbered, so that it is done once whoever has the files. */
export async function open(location: string): Promise<Database> {
  return asyncDatabase(openLocal(location, {}), 'sync', true)
}
