// Databases in IndexedDB: which there are, and how they go. Their bytes are the engine's matter.

import { LightningError } from './errors.js'

const PREFIX = 'lightning-db:'
/** Whoever has it open is waited for so long. */
const BUSY_MS = 5000
/** A database of this name, empty, says that the one of the other name is being made of a backup. */
const RESTORING = 'lightning-db-restoring:'
/** The lengths of the engine's files; none before its first commit. */
const LENGTHS = 'lengths'

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
  await deleted(PREFIX, name)
  return true
}

function deleted(prefix: string, name: string): Promise<unknown> {
  const request = indexedDB.deleteDatabase(prefix + name)
  // A worker that has ended may still be losing its connection.
  const blocked = new Promise((_, reject) => (request.onblocked = () => setTimeout(reject, BUSY_MS, new LightningError('DatabaseBusy', [name]))))
  return Promise.race([answer(request), blocked])
}

/** Runs what makes a new database of a backup. Where that fails, or its tab goes, there is no such database. */
export async function making<R>(name: string, run: () => Promise<R>): Promise<R> {
  ;(await answer(indexedDB.open(RESTORING + name))).close()
  try {
    return await run()
  } catch (error) {
    await remove(name).catch(() => {})
    throw error
  } finally {
    await deleted(RESTORING, name).catch(() => {})
  }
}

/** Takes away what such a function left that came to no end; nobody may run one meanwhile. Whether there was a database. */
export async function sweep(name: string): Promise<boolean> {
  if (!(await listMarked()).includes(name)) return false
  const wasEmpty = await isEmpty(name)
  if (wasEmpty) await deleted(PREFIX, name)
  else await rest(name)
  await deleted(RESTORING, name)
  return wasEmpty
}

/** Whether the engine has written nothing to it; one that is not there is made. */
export async function isEmpty(name: string): Promise<boolean> {
  const database = await answer(indexedDB.open(idbName(name)))
  const hasAny = database.objectStoreNames.contains(LENGTHS)
  const count = hasAny ? await answer(database.transaction(LENGTHS).objectStore(LENGTHS).count()) : 0
  database.close()
  return count === 0
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** The names of all databases here. */
export function listNames(): Promise<string[]> {
  return namesBehind(PREFIX)
}

/** Those that are being made of a backup, or were when that was broken off. */
export function listMarked(): Promise<string[]> {
  return namesBehind(RESTORING)
}

async function namesBehind(prefix: string): Promise<string[]> {
  if (unavailable() || !('databases' in indexedDB)) return []
  const all = await indexedDB.databases()
  return all.flatMap(({ name }) => (name?.startsWith(prefix) ? [name.slice(prefix.length)] : []))
}
