// Lightning DB inside a dedicated worker of an application, without promises: the engine runs in that worker itself.

import type { OpenOptions, SyncDatabase } from './database.js'
import { LightningError } from './errors.js'
import { type Engine } from './host.js'
import { opening, optionBytes, syncDatabase } from './local.js'
import * as idb from './idb.js'
import * as opfs from './opfs.js'
import { Parts } from './parts.js'
import { Engine as WasmEngine, default as init, initSync } from './generated/engine.js'

export * from './interface.js'

/** How a worker opens a database. */
export interface SyncOptions extends OpenOptions {
  /** Where `lightning.wasm` is, where it is not beside this script, or a compiled module. */
  wasm?: string | URL | WebAssembly.Module
}

/**
 * Opens the database `name` in the origin private file system, or in memory. Opening waits; nothing does afterwards.
 * IndexedDB always answers later, so it is not to be had here.
 */
export async function open(name: string, options: SyncOptions = {}): Promise<SyncDatabase> {
  const { wasm, storage = 'opfs' } = options
  if (storage !== 'opfs' && storage !== 'memory') {
    throw new LightningError('StorageUnavailable', [storage, "without promises there are 'opfs' and 'memory'"])
  }
  const place = storage === 'opfs' ? await opfs.find(name) : undefined
  if (typeof place === 'string') throw new LightningError('StorageUnavailable', [storage, place])
  if (place && !place.data) {
    // A second one of the same name is never made.
    if (await idb.exists(name)) {
      const why = `the database '${name}' is in 'indexeddb'; open it with promises, or delete it with destroy('${name}')`
      throw new LightningError('StorageUnavailable', [storage, why])
    }
    if (options.create === false) throw new LightningError('NotADatabase', [`there is no database '${name}'`])
  }
  if (wasm instanceof WebAssembly.Module) initSync({ module: wasm })
  else await init({ module_or_path: String(wasm ?? new URL('./lightning-1.wasm', import.meta.url)) })
  // Nothing waits here but the first call of what is in them.
  if (wasm === undefined) {
    const parts = [
      new URL('./lightning-2.wasm', import.meta.url),
      new URL('./lightning-3.wasm', import.meta.url),
      new URL('./lightning-4.wasm', import.meta.url),
    ]
    new Parts(parts.map(String))
  }
  const bytes = optionBytes(options)
  let engine: WasmEngine
  if (!place) engine = opening(() => WasmEngine.openMemory(bytes))
  else {
    const { data, log } = await opfs.openHandles(name, place)
    engine = opening(() => WasmEngine.openFiles(name, data as never, log as never, bytes))
  }
  return syncDatabase({ engine: engine as unknown as Engine, name, storage, closed: () => {} }, options.durability ?? 'sync')
}
