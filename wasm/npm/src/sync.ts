// Lightning DB inside a dedicated worker of an application, without promises: the engine runs in that worker itself.

import type { OpenOptions, SyncDatabase } from './database.js'
import { LightningError } from './errors.js'
import { type Engine } from './host.js'
import { Local, opening, optionBytes, syncDatabase } from './local.js'
import * as idb from './idb.js'
import * as opfs from './opfs.js'
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
  const why = storage === 'opfs' ? await opfs.unavailable() : undefined
  if (why) throw new LightningError('StorageUnavailable', [storage, why])
  if (storage === 'opfs' && !(await opfs.exists(name))) {
    // A second one of the same name is never made.
    if (await idb.exists(name)) {
      const why = `the database '${name}' is in 'indexeddb'; open it with promises, or delete it with destroy('${name}')`
      throw new LightningError('StorageUnavailable', [storage, why])
    }
    if (options.create === false) throw new LightningError('NotADatabase', [`there is no database '${name}'`])
  }
  if (wasm instanceof WebAssembly.Module) initSync({ module: wasm })
  else await init({ module_or_path: String(wasm ?? new URL('./lightning.wasm', import.meta.url)) })
  const bytes = optionBytes(options)
  let engine: WasmEngine
  if (storage === 'memory') engine = opening(() => WasmEngine.openMemory(bytes))
  else {
    const { data, log } = await opfs.openHandles(name)
    engine = opening(() => WasmEngine.openFiles(name, data as never, log as never, bytes))
  }
  return syncDatabase(new Local({ engine: engine as unknown as Engine, name, storage, closed: () => {} }), options.durability ?? 'sync')
}
