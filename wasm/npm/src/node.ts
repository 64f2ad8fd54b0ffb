// Lightning DB in Node, Deno and Bun: files, through the same engine as everywhere.

import * as fs from 'node:fs'
import type { Database, OpenOptions } from './database.js'
import { LightningError } from './errors.js'
import { type DatabaseFiles, type FileHandle, listFiles, openFiles, realFile, removeFiles, restoreFile } from './files.js'
import type { Engine } from './host.js'
import { failure, opening } from './failure.js'
import { Local, type Opened, asyncDatabase, optionBytes } from './local.js'
import { type BackupSource, type RestoreOptions, read, requireWhole } from './restoring.js'
import { Engine as WasmEngine, initSync } from './generated/engine.js'

export * from './interface.js'

let compiled = false

/** Compiles the engine once. */
function compile(): void {
  if (compiled) return
  initSync({ module: fs.readFileSync(new URL('./lightning.wasm', import.meta.url)) })
  compiled = true
}

/** The files that this process has open, and who uses them. */
const openHere = new Map<string, { local: Local; readOnly: boolean }>()

/** An engine over files, or in memory; the one that has these files open already, if one has. */
export function openLocal(name: string, options: OpenOptions): Local {
  const { storage = 'file', readOnly = false } = options
  if (storage !== 'file' || typeof name !== 'string' || name === '') return new Local(openEngine(name, options))
  const bytes = optionBytes(options)
  const file = realFile(name)
  const found = openHere.get(file)
  if (found && found.readOnly === readOnly && bytes.length > 0) return found.local
  const opened = openEngine(name, options)
  // Only now it is sure to be there.
  const place = realFile(name)
  const local = new Local({
    ...opened,
    closed: () => {
      openHere.delete(place)
      opened.closed()
    },
  })
  openHere.set(place, { local, readOnly })
  return local
}

function openEngine(name: string, options: OpenOptions): Opened {
  compile()
  const { storage = 'file' } = options
  if (storage === 'memory') {
    const engine = opening(() => WasmEngine.openMemory(optionBytes(options))) as unknown as Engine
    return { engine, name, storage, closed: () => {} }
  }
  if (storage !== 'file') {
    throw new LightningError('StorageUnavailable', [storage, "outside browsers there are 'file' and 'memory'"])
  }
  const readOnly = options.readOnly ?? false
  const files = openFiles(name, options.create ?? true, readOnly)
  try {
    const engine = overFiles(files.name, files.data, files.log, options)
    return { engine, name: files.name, storage, closed: readOnly ? () => files.unlock() : closing(files) }
  } catch (error) {
    files.unlock()
    throw error
  }
}

function overFiles(name: string, data: FileHandle, log: FileHandle, options: OpenOptions): Engine {
  return opening(() => WasmEngine.openFiles(name, data, log, optionBytes(options))) as unknown as Engine
}

function closing(files: DatabaseFiles): () => void {
  return () => {
    files.unlock()
    // A closed database is its data file alone.
    if (fs.existsSync(`${files.name}-log`) && fs.statSync(`${files.name}-log`).size === 0) fs.rmSync(`${files.name}-log`)
  }
}

/**
 * Opens the database at `location`, a path; `.ldb` is added where it has no ending. It is made where it is missing. Opened again in
 * the same process it is the same database, which is closed when all who opened it have closed it.
 */
export async function open(location: string, options: OpenOptions = {}): Promise<Database> {
  options.signal?.throwIfAborted()
  const durability = options.durability ?? 'sync'
  return asyncDatabase(openLocal(location, options), durability)
}

/**
 * Makes the database at `location` of a backup. It is there when everything in the backup was found to be whole; before that, and
 * after an error, all is as it was.
 */
export async function restore(location: string, source: BackupSource, options: RestoreOptions = {}): Promise<void> {
  const { overwrite = false, signal } = options
  signal?.throwIfAborted()
  compile()
  const restoring = restoreFile(location, overwrite)
  let isWhole = false
  try {
    await read(source, signal, piece => restoring.write(piece))
    await restoring.check(requireDatabase)
    isWhole = true
  } catch (error) {
    throw failure(error)
  } finally {
    restoring.end(isWhole)
  }
}

/** The files are a database, and whole. */
async function requireDatabase(name: string, data: FileHandle, log: FileHandle): Promise<void> {
  const engine = overFiles(name, data, log, { readOnly: true, create: false })
  try {
    await requireWhole(engine, false)
  } finally {
    engine.free()
  }
}

/** Deletes the database at `location`; false when there is none. */
export async function destroy(location: string): Promise<boolean> {
  return removeFiles(location)
}

/** The databases in a folder. */
export async function list(folder = '.'): Promise<string[]> {
  return listFiles(folder)
}
