// The databases that this process has open in files, and the engine for them.

import * as fs from 'node:fs'
import type { OpenOptions } from './database.js'
import { LightningError } from './errors.js'
import { type DatabaseFiles, type FileHandle, openFiles, realFile } from './files.js'
import type { Engine } from './host.js'
import { opening } from './failure.js'
import { Local, type Opened, optionBytes } from './local.js'
import { requireKey } from './keys.js'
import { type Secret, withKey } from './secret.js'
import * as plain from './generated/engine.js'
import * as encrypted from './generated/encrypted/engine.js'

const compiled = new Set<string>()

/** Compiles an engine once: the one with ciphers for whoever has a key. */
function engineFor(secret: Secret | undefined): typeof plain.Engine {
  const [engine, file] = secret ? [encrypted, './encrypted.wasm'] : [plain, './lightning.wasm']
  if (!compiled.has(file)) engine.initSync({ module: fs.readFileSync(new URL(file, import.meta.url)) })
  compiled.add(file)
  return engine.Engine as typeof plain.Engine
}

/** The files that this process has open, and who uses them. */
const openHere = new Map<string, { local: Local; readOnly: boolean; isEncrypted: boolean }>()

/** An engine over files, or in memory; the one that has these files open already, if one has. */
export function openLocal(name: string, options: OpenOptions, secret?: Secret): Local {
  const { storage = 'file', readOnly = false } = options
  if (storage !== 'file' || typeof name !== 'string' || name === '') return new Local(openEngine(name, options, secret))
  const bytes = optionBytes(options)
  const file = realFile(name)
  const found = openHere.get(file)
  if (found && found.readOnly === readOnly && bytes.length > 0) {
    // Whoever comes later is to have a key of it, too.
    if (found.isEncrypted) requireKey(found.local.opened.engine, secret)
    else if (secret) throw new LightningError('WrongKey', ['a key was given, but the database is not encrypted'])
    return found.local
  }
  const opened = openEngine(name, options, secret)
  // Only now it is sure to be there.
  const place = realFile(name)
  const local = new Local({
    ...opened,
    closed: () => {
      openHere.delete(place)
      opened.closed()
    },
  })
  openHere.set(place, { local, readOnly, isEncrypted: secret !== undefined })
  return local
}

function openEngine(name: string, options: OpenOptions, secret: Secret | undefined): Opened {
  const { storage = 'file' } = options
  if (storage === 'memory') {
    const engine = told(options, secret, bytes => engineFor(secret).openMemory(bytes))
    return { engine, name, storage, closed: () => {} }
  }
  if (storage !== 'file') {
    throw new LightningError('StorageUnavailable', [storage, "outside browsers there are 'file' and 'memory'"])
  }
  const readOnly = options.readOnly ?? false
  const files = openFiles(name, options.create ?? true, readOnly)
  try {
    const engine = overFiles(files.name, files.data, files.log, options, secret)
    return { engine, name: files.name, storage, closed: readOnly ? () => files.unlock() : closing(files) }
  } catch (error) {
    // What could not be opened was not made.
    if (!readOnly) removeEmpty(secret ? [files.name, `${files.name}-log`] : [`${files.name}-log`])
    files.unlock()
    throw error
  }
}

/** An engine over open files. */
export function overFiles(name: string, data: FileHandle, log: FileHandle, options: OpenOptions, secret: Secret | undefined): Engine {
  return told(options, secret, bytes => engineFor(secret).openFiles(name, data as never, log as never, bytes))
}

/** Opens an engine that is told this. */
function told(options: OpenOptions, secret: Secret | undefined, open: (bytes: Uint8Array) => plain.Engine): Engine {
  const bytes = optionBytes(options)
  if (!secret) return opening(() => open(bytes)) as unknown as Engine
  const all = withKey(bytes, secret.bytes())
  try {
    return opening(() => open(all)) as unknown as Engine
  } finally {
    all.fill(0)
  }
}

function removeEmpty(files: string[]): void {
  for (const file of files) if (fs.existsSync(file) && fs.statSync(file).size === 0) fs.rmSync(file)
}

function closing(files: DatabaseFiles): () => void {
  return () => {
    files.unlock()
    // A closed database is its data file alone.
    removeEmpty([`${files.name}-log`])
  }
}
