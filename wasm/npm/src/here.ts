// The databases that this process has open in files, and the engine for them.

import * as fs from 'node:fs'
import type { OpenOptions } from './database.js'
import { LightningError } from './errors.js'
import { type DatabaseFiles, type FileHandle, openFiles, realFile } from './files.js'
import type { Engine } from './host.js'
import { opening } from './failure.js'
import { Local, type Opened, optionBytes } from './local.js'
import { Engine as WasmEngine, initSync } from './generated/engine.js'

let compiled = false

/** Compiles the engine once. */
export function compile(): void {
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

/** An engine over open files. */
export function overFiles(name: string, data: FileHandle, log: FileHandle, options: OpenOptions): Engine {
  return opening(() => WasmEngine.openFiles(name, data, log, optionBytes(options))) as unknown as Engine
}

function closing(files: DatabaseFiles): () => void {
  return () => {
    files.unlock()
    // A closed database is its data file alone.
    if (fs.existsSync(`${files.name}-log`) && fs.statSync(`${files.name}-log`).size === 0) fs.rmSync(`${files.name}-log`)
  }
}
