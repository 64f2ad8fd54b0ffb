// Lightning DB in Node, Deno and Bun: files, through the same engine as everywhere.

import * as fs from 'node:fs'
import type { Database, OpenOptions } from './database.js'
import { LightningError } from './errors.js'
import { type DatabaseFiles, listFiles, openFiles, removeFiles } from './files.js'
import type { Engine } from './host.js'
import { type Opened, asyncDatabase, opening, optionBytes } from './local.js'
import { Engine as WasmEngine, initSync } from './generated/engine.js'

export * from './interface.js'

let compiled = false

/** Compiles the engine once. */
function compile(): void {
  if (compiled) return
  initSync({ module: fs.readFileSync(new URL('./lightning.wasm', import.meta.url)) })
  compiled = true
}

/** Opens an engine over files, or in memory. */
export function openEngine(name: string, options: OpenOptions): Opened {
  compile()
  const { storage = 'file' } = options
  if (storage === 'memory') {
    const engine = opening(() => WasmEngine.openMemory(optionBytes(options))) as unknown as Engine
    return { engine, name, storage, closed: () => {} }
  }
  if (storage !== 'file') {
    throw new LightningError('StorageUnavailable', [storage, "outside browsers there are 'file' and 'memory'"])
  }
  const files = openFiles(name, options.create ?? true, options.readOnly ?? false)
  try {
    const engine = opening(() => WasmEngine.openFiles(files.name, files.data, files.log, optionBytes(options)))
    return { engine: engine as unknown as Engine, name: files.name, storage, closed: closing(files) }
  } catch (error) {
    files.unlock()
    throw error
  }
}

function closing(files: DatabaseFiles): () => void {
  return () => {
    files.unlock()
    // A closed database is its data file alone.
    if (fs.existsSync(`${files.name}-log`) && fs.statSync(`${files.name}-log`).size === 0) fs.rmSync(`${files.name}-log`)
  }
}


/**
 * Opens the database at `location`, a path; `.ldb` is added where it has no ending. It is made where it is missing.
 */
export async function open(location: string, options: OpenOptions = {}): Promise<Database> {
  const durability = options.durability ?? 'sync'
  return asyncDatabase(openEngine(location, options), durability)
}

/** Deletes the database at `location`; false when there is none. */
export async function destroy(location: string): Promise<boolean> {
  return removeFiles(location)
}

/** The databases in a folder. */
export async function list(folder = '.'): Promise<string[]> {
  return listFiles(folder)
}
