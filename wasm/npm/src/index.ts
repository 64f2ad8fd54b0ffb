// Lightning DB in browsers. Importing it does nothing: `open` starts the worker that runs the engine.

import { raced } from './abort.js'
import { type Database, DatabaseOf, type OpenOptions } from './database.js'
import { laterScript, missing } from './fetching.js'
import { leased } from './lease.js'
import { hasLocks } from './messages.js'
import { Peer, type Plan } from './peer.js'
import type { BackupSource, RestoreOptions } from './restoring.js'

export * from './interface.js'

/** How a page opens a database. */
export interface BrowserOptions extends OpenOptions {
  /** Where `lightning.wasm` is, where it is not beside this script, or a compiled module; with `encryption` `encrypted.wasm`. */
  wasm?: string | URL | WebAssembly.Module
  /**
   * Starts the worker, where the bundler does not find it: `() => new Worker(new URL('lightning-db/worker', import.meta.url))`; with
   * `encryption` `lightning-db/worker-encrypted`.
   */
  worker?: () => Worker
}

/** The databases that this page has open, and how often. */
const openHere = new Map<string, { peer: Peer; users: number }>()

/** Opens the database `name` of this origin. It is made where it is missing. Other tabs may have it open, too. */
export async function open(name: string, options: BrowserOptions = {}): Promise<Database> {
  const { signal } = options
  signal?.throwIfAborted()
  if (options.encryption !== undefined) {
    const { openEncrypted } = await import('./encryption.js').catch(error => {
      throw missing('encryption.js', error)
    })
    return openEncrypted(name, options)
  }
  const plan = planOf(name, options)
  const { shared } = plan
  const page = (shared && openHere.get(name)) || { peer: new Peer(plan), users: 0 }
  page.users++
  const leave = async (): Promise<void> => {
    if (--page.users > 0) return
    if (openHere.get(name) === page) openHere.delete(name)
    await page.peer.close()
  }
  if (shared) openHere.set(name, page)
  try {
    const opened = await raced(signal, () => page.peer.opened)
    if (options.persist) void navigator.storage?.persist?.().catch(() => {})
    const { link, end } = leased(page.peer.link)
    return new DatabaseOf(opened.name, opened.storage, options.durability ?? 'sync', link, async () => {
      // What was asked in this turn goes before.
      await Promise.resolve()
      end()
      await leave()
    })
  } catch (error) {
    if (signal?.aborted) void leave().catch(() => {})
    else if (openHere.get(name) === page) openHere.delete(name)
    throw error
  }
}

/** How this page opens a database. */
function planOf(name: string, { worker, wasm, signal, ...options }: BrowserOptions): Plan {
  const plan: Plan = {
    name,
    options,
    ...engine(wasm),
    start: worker ?? (typeof Worker === 'undefined' ? undefined : startWorker),
    shared: options.storage !== 'memory' && hasLocks(),
  }
  if (!worker) plan.other = startOther
  if (!worker && !wasm) plan.spare = () => import('./inline.js')
  return plan
}

/**
 * Makes the database `name` of a backup. It is there when everything in the backup was found to be whole; before that, and after an
 * error, all is as it was. Nobody may have the database open.
 */
export async function restore(name: string, source: BackupSource, options: RestoreOptions & BrowserOptions = {}): Promise<void> {
  const { overwrite = false, signal, ...rest } = options
  const plan = planOf(name, rest)
  return (await laterScript()).restore(plan, source, overwrite, signal)
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
      new URL('./lightning-5.wasm', import.meta.url),
    ]
    return { wasm: String(first), parts: parts.map(String) }
  } catch {
    // A script that does not know where it is: nothing is beside it, and everything comes inline.
    return { wasm: 'lightning-1.wasm', parts: [] }
  }
}

function startWorker(): Worker {
  // Written out, for this is what bundlers look for.
  return new Worker(new URL('./worker-files.js', import.meta.url), { type: 'module', name: 'lightning-db' })
}

function startOther(): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'lightning-db' })
}

/** Deletes the database `name`, which nobody may have open; false when there is none. */
export async function destroy(name: string): Promise<boolean> {
  return (await laterScript()).destroy(name)
}

/** The names of the databases of this origin. */
export async function list(): Promise<string[]> {
  return (await laterScript()).list()
}
