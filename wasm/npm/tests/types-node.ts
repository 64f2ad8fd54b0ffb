// What the types of the package are in Node, Deno and Bun. It is compiled, not run.

import { type Database, type OpenOptions, destroy, list, open, restore } from 'lightning-db'
import { type SyncDatabase, open as openSync } from 'lightning-db/sync'

export async function opened(options: OpenOptions): Promise<[Database, SyncDatabase]> {
  const database = await open('app.ldb', { ...options, storage: 'file' })
  // Without promises, opening needs none either.
  const sync = openSync('other.ldb')
  const found: string | undefined = sync.collection<{ id: number; text: string }>('notes', { key: 'id' }).get(1)?.text
  await restore('copy.ldb', database.backup(), { overwrite: found !== undefined })
  for (const name of await list('.')) await destroy(name)
  // @ts-expect-error workers are for browsers
  await open('app.ldb', { worker: () => undefined })
  return [database, sync]
}
