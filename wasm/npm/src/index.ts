// Lightning DB in browsers. Importing it does nothing: `open` starts the worker that runs the engine.

import { type Database, DatabaseOf, type OpenOptions } from './database.js'
import { LightningError } from './errors.js'
import * as idb from './idb.js'
import { leased } from './lease.js'
import { ownerLock } from './messages.js'
import * as opfs from './opfs.js'
import { Peer } from './peer.js'

export * from './interface.js'

/** How a page opens a database. */
export interface BrowserOptions extends OpenOptions {
  /** Where `lightning.wasm` is, where it is not beside this script, or a compiled module. */
  wasm?: string | URL | WebAssembly.Module
  /** Starts the worker, where the bundler does not find it: `() => new Worker(new URL('lightning-db/worker', import.meta.url))`. */
  worker?: () => Worker
}

/** The databases that this page has open, and how often. */
const openHere = new Map<string, { peer: Peer; users: number }>()
/** A database that is being closed is waited for so long before it is deleted. */
const BUSY_MS = 5000

/** Opens the database `name` of this origin. It is made where it is missing. Other tabs may have it open, too. */
export async function open(name: string, options: BrowserOptions = {}): Promise<Database> {
  const { worker, wasm, ...rest } = options
  const shared = rest.storage !== 'memory' && hasLocks()
  const plan = {
    name,
    options: rest,
    ...engine(wasm),
    spare: worker || wasm ? undefined : () => import('./inline.js'),
    start: worker ?? (typeof Worker === 'undefined' ? undefined : startWorker),
    shared,
  }
  const page = (shared && openHere.get(name)) || { peer: new Peer(plan), users: 0 }
  page.users++
  const leave = async (): Promise<void> => {
    if (--page.users > 0) return
    if (openHere.get(name) === page) openHere.delete(name)
    await page.peer.close()
  }
  if (shared) openHere.set(name, page)
  try {
    const opened = await page.peer.opened
    const { link, end } = leased(page.peer.link)
    return new DatabaseOf(opened.name, opened.storage, options.durability ?? 'sync', link, async () => {
      // What was asked in this turn goes before.
      await Promise.resolve()
      end()
      await leave()
    })
  } catch (error) {
    if (openHere.get(name) === page) openHere.delete(name)
    throw error
  }
}

/** Whether tabs can agree on who owns the files. */
function hasLocks(): boolean {
  return typeof BroadcastChannel !== 'undefined' && navigator.locks !== undefined
}

/** Where the engine is: what is given is the whole of it, else it comes in parts. */
function engine(wasm: BrowserOptions['wasm']): { wasm: string | WebAssembly.Module; parts: string[] } {
  if (wasm !== undefined) return { wasm: wasm instanceof WebAssembly.Module ? wasm : String(wasm), parts: [] }
  try {
    const first = new URL('./lightning-1.wasm', import.meta.url)
    const parts = [
      new URL('./lightning-2.wasm', import.meta.url),
      new URL('./lightning-3.wasm', import.meta.url),
      new URL('./lightning-4.wasm', import.meta.url),
    ]
    return { wasm: String(first), parts: parts.map(String) }
  } catch {
    // A script that does not know where it is: nothing is beside it, and everything comes inline.
    return { wasm: 'lightning-1.wasm', parts: [] }
  }
}

function startWorker(): Worker {
  // Written out, for this is what bundlers look for.
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'lightning-db' })
}

/** Deletes the database `name`, which nobody may have open; false when there is none. */
export async function destroy(name: string): Promise<boolean> {
  const remove = async () => {
    const removed = await Promise.all([(await opfs.unreachable()) ? false : opfs.removeFiles(name), idb.remove(name)])
    return removed.some(was => was)
  }
  if (!hasLocks()) return remove()
  return navigator.locks.request(ownerLock(name), { signal: AbortSignal.timeout(BUSY_MS) }, remove).catch(error => {
    if ((error as DOMException).name !== 'TimeoutError') throw error
    throw new LightningError('DatabaseBusy', [name], { cause: error })
  })
}

/** The names of the databases of this origin. */
export async function list(): Promise<string[]> {
  const [files, stores] = await Promise.all([(await opfs.unreachable()) ? [] : opfs.listNames(), idb.listNames()])
  return [...new Set([...files, ...stores])].sort()
}
