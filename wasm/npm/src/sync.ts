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
import * as plain from './generated/engine.js'
import { type Secret, secretOf, unlocking, withKey } from './secret.js'

export * from './interface.js'
export { SyncQuery } from './query.js'

/** How a worker opens a database. */
export interface SyncOptions extends OpenOptions {
  /** Where `lightning.wasm` is, where it is not beside this script, or a compiled module; with `encryption` `encrypted.wasm`. */
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
  const secret = secretOf(options)
  const { Engine: WasmEngine, parts } = await compile(wasm, secret)
  const bytes = optionBytes(options)
  return unlocking(secret, async () => {
    const handles = place && (await opfs.openHandles(name, place))
    const isNew = handles?.data.getSize() === 0
    const closed = () => {
      handles?.data.close()
      handles?.log.close()
    }
    let engine: plain.Engine
    try {
      const all = secret ? withKey(bytes, secret.bytes()) : bytes
      engine = opening(() =>
        handles
          ? WasmEngine.openFiles(name, handles.data as never, handles.log as never, all)
          : WasmEngine.openMemory(all),
      )
    } catch (error) {
      closed()
      // What could not be encrypted was not made.
      if (secret && isNew) await opfs.removeFiles(name)
      throw error
    }
    return syncDatabase(new Local({ engine: engine as unknown as Engine, name, storage, closed, parts }), options.durability ?? 'sync')
  })
}

/** Makes the database `name` of a backup, in the origin private file system; nothing of what was there is touched before it is whole. */
export async function restore(name: string, source: BackupSource, options: RestoreOptions & SyncOptions = {}): Promise<void> {
  const { overwrite = false, signal, wasm, ...rest } = options
  const place = await found(name)
  requireFree(name, place.data !== undefined, overwrite)
  if (!place.data) await requireNotInIdb(name)
  const pieces: Blob[] = []
  await read(source, signal, piece => pieces.push(new Blob([piece])))
  const secret = secretOf(options)
  const { Engine: WasmEngine } = await compile(wasm, secret)
  const bytes = optionBytes({ ...rest, readOnly: true, create: false })
  try {
    await unlocking(secret, () =>
      restoreFiles(name, place, new Blob(pieces), secret ? withKey(bytes, secret.bytes()) : bytes, WasmEngine),
    )
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

/** The engine with ciphers for whoever has a key. */
async function compile(wasm: SyncOptions['wasm'], secret: Secret | undefined): Promise<{ Engine: typeof plain.Engine; parts?: Parts }> {
  const { Engine, initSync, default: init } = secret ? ((await import('./encrypted-engine.js')) as unknown as typeof plain) : plain
  const beside = secret ? new URL('./encrypted.wasm', import.meta.url) : new URL('./lightning-1.wasm', import.meta.url)
  if (wasm instanceof WebAssembly.Module) initSync({ module: wasm })
  else await init({ module_or_path: String(wasm ?? beside) })
  if (wasm !== undefined || secret) return { Engine }
  const parts = [
    new URL('./lightning-2.wasm', import.meta.url),
    new URL('./lightning-3.wasm', import.meta.url),
    new URL('./lightning-4.wasm', import.meta.url),
    new URL('./lightning-5.wasm', import.meta.url),
  ]
  // Nothing waits here but the first call of what is in them.
  return { Engine, parts: new Parts(parts.map(String)) }
}
