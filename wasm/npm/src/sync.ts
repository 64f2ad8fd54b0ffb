// Lightning DB inside a dedicated worker of an application, without promises: the engine runs in that worker itself.

import type { OpenOptions, SyncDatabase } from './database.js'
import { LightningError } from './errors.js'
import { type Engine } from './host.js'
import { failure, opening } from './failure.js'
import { Local, optionBytes, syncDatabase } from './local.js'
import * as idb from './idb.js'
import * as opfs from './opfs.js'
import { Parts } from './parts.js'
import { type BackupSource, type RestoreOptions, read, requireFree } from './restoring.js'
import { restoreFiles } from './restoring-opfs.js'
import { Engine as WasmEngine, default as init, initSync } from './generated/engine.js'

export * from './interface.js'
export { SyncQuery } from './query.js'

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
  options.signal?.throwIfAborted()
  if (storage !== 'opfs' && storage !== 'memory') {
    throw new LightningError('StorageUnavailable', [storage, "without promises there are 'opfs' and 'memory'"])
  }
  const place = storage === 'opfs' ? await found(name) : undefined
  if (place && !place.data) {
    await requireNotInIdb(name)
    if (options.create === false) throw new LightningError('NotADatabase', [`there is no database '${name}'`])
  }
  const parts = await compile(wasm)
  const bytes = optionBytes(options)
  const handles = place && (await opfs.openHandles(name, place))
  const closed = () => {
    handles?.data.close()
    handles?.log.close()
  }
  let engine: WasmEngine
  try {
    engine = opening(() =>
      handles
        ? WasmEngine.openFiles(name, handles.data as never, handles.log as never, bytes)
        : WasmEngine.openMemory(bytes),
    )
  } catch (error) {
    closed()
    throw error
  }
  return syncDatabase(new Local({ engine: engine as unknown as Engine, name, storage, closed, parts }), options.durability ?? 'sync')
}

/** Makes the database `name` of a backup, in the origin private file system; nothing of what was there is touched before it is whole. */
export async function restore(name: string, source: BackupSource, options: RestoreOptions & SyncOptions = {}): Promise<void> {
  const { overwrite = false, signal, wasm, ...rest } = options
  const place = await found(name)
  requireFree(name, place.data !== undefined, overwrite)
  if (!place.data) await requireNotInIdb(name)
  const pieces: Blob[] = []
  await read(source, signal, piece => pieces.push(new Blob([piece])))
  await compile(wasm)
  try {
    await restoreFiles(name, place, new Blob(pieces), optionBytes({ ...rest, readOnly: true, create: false }))
  } catch (error) {
    throw failure(error)
  }
}

async function found(name: string): Promise<opfs.Place> {
  const place = await opfs.find(name)
  if (typeof place === 'string') throw new LightningError('StorageUnavailable', ['opfs', place])
  return place
}

/** A second one of the same name is never made. */
async function requireNotInIdb(name: string): Promise<void> {
  if (!(await idb.exists(name))) return
  const why = `the database '${name}' is in 'indexeddb'; open it with promises, or delete it with destroy('${name}')`
  throw new LightningError('StorageUnavailable', ['opfs', why])
}

async function compile(wasm: SyncOptions['wasm']): Promise<Parts | undefined> {
  if (wasm instanceof WebAssembly.Module) initSync({ module: wasm })
  else await init({ module_or_path: String(wasm ?? new URL('./lightning-1.wasm', import.meta.url)) })
  if (wasm !== undefined) return undefined
  const parts = [
    new URL('./lightning-2.wasm', import.meta.url),
    new URL('./lightning-3.wasm', import.meta.url),
    new URL('./lightning-4.wasm', import.meta.url),
    new URL('./lightning-5.wasm', import.meta.url),
  ]
  // Nothing waits here but the first call of what is in them.
  return new Parts(parts.map(String))
}
