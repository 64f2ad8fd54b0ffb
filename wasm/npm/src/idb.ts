// Databases in IndexedDB: which there are, and how they go. Their bytes are the engine's matter.

import { LightningError } from './errors.js'

const PREFIX = 'lightning-db:'
/** Whoever has it open is waited for so long. */
const BUSY_MS = 5000

/** The name in IndexedDB. */
export function idbName(name: string): string {
  return PREFIX + name
}

export function unavailable(): string | undefined {
  return typeof indexedDB === 'undefined' || indexedDB === null ? 'there is no IndexedDB' : undefined
}

/** Why no database is to be opened there: it lets everybody in, and what keeps tabs apart is their lock. */
export function unusable(): string | undefined {
  return unavailable() ?? (navigator.locks ? undefined : 'the browser has no Web Locks here, for the page is not from https or localhost, and nothing else keeps tabs apart')
}

/** Whether there is such a database. */
export async function exists(name: string): Promise<boolean> {
  if (unavailable()) return false
  try {
    return await isThere(name)
  } catch (error) {
    const why = `the browser refuses it, as in some private windows (${(error as Error).message})`
    throw new LightningError('StorageUnavailable', ['indexeddb', why], { cause: error })
  }
}

async function isThere(name: string): Promise<boolean> {
  if ('databases' in indexedDB) {
    const all = await indexedDB.databases()
    return all.some(found => found.name === idbName(name))
  }
  // Opened to see whether it would have to be made, which is then called off.
  return new Promise((resolve, reject) => {
    const request = (indexedDB as IDBFactory).open(idbName(name))
    let made = false
    request.onupgradeneeded = () => {
      made = true
      request.transaction!.abort()
    }
    request.onsuccess = () => {
      request.result.close()
      resolve(true)
    }
    request.onerror = event => {
      event.preventDefault()
      if (made) resolve(false)
      else reject(request.error)
    }
  })
}

/** Waits until nothing is under way in it: see `connection.rs`, whose connection may have been closed meanwhile. */
export async function rest(name: string): Promise<void> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(idbName(name))
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  const transaction = database.transaction(database.objectStoreNames, 'readwrite')
  await new Promise(resolve => (transaction.oncomplete = transaction.onabort = resolve))
  database.close()
}

/** Deletes a database; whether there was one. */
export async function remove(name: string): Promise<boolean> {
  if (!(await exists(name))) return false
  await new Promise<void>((resolve, reject) => {
    const request = indexedDB.deleteDatabase(idbName(name))
    request.onsuccess = () => resolve()
    request.onerror = () => reject(request.error)
    // A worker that has ended may still be losing its connection.
    request.onblocked = () => setTimeout(reject, BUSY_MS, new LightningError('DatabaseBusy', [name]))
  })
  return true
}

/** The names of all databases here. */
export async function listNames(): Promise<string[]> {
  if (unavailable() || !('databases' in indexedDB)) return []
  const all = await indexedDB.databases()
  return all.flatMap(({ name }) => (name?.startsWith(PREFIX) ? [name.slice(PREFIX.length)] : []))
}
