// Lightning DB in Node, Deno and Bun: files, through the same engine as everywhere.

import type { Database, OpenOptions } from './database.js'
import { type FileHandle, listFiles, removeFiles, restoreFile } from './files.js'
import { failure } from './failure.js'
import { openLocal, overFiles } from './here.js'
import { asyncDatabase } from './local.js'
import { type Secret, secretOf, unlocking } from './secret.js'
import { type BackupSource, type RestoreOptions, read, requireWhole } from './restoring.js'

export * from './interface.js'

/**
 * Opens the database at `location`, a path; `.ldb` is added where it has no ending. It is made where it is missing. Opened again in
 * the same process it is the same database, which is closed when all who opened it have closed it.
 */
export async function open(location: string, options: OpenOptions = {}): Promise<Database> {
  options.signal?.throwIfAborted()
  const durability = options.durability ?? 'sync'
  const secret = secretOf(options)
  const opened = () => asyncDatabase(openLocal(location, options, secret), durability)
  return secret ? unlocking(secret, opened) : opened()
}

/**
 * Makes the database at `location` of a backup. It is there when everything in the backup was found to be whole; before that, and
 * after an error, all is as it was.
 */
export async function restore(location: string, source: BackupSource, options: RestoreOptions & Pick<OpenOptions, 'encryption'> = {}): Promise<void> {
  const { overwrite = false, signal } = options
  signal?.throwIfAborted()
  const secret = secretOf(options)
  const restoring = restoreFile(location, overwrite)
  let isWhole = false
  try {
    await read(source, signal, piece => restoring.write(piece))
    await unlocking(secret, () => restoring.check((name, data, log) => requireDatabase(name, data, log, secret)))
    isWhole = true
  } catch (error) {
    throw failure(error)
  } finally {
    restoring.end(isWhole)
  }
}

/** The files are a database, and whole. */
async function requireDatabase(name: string, data: FileHandle, log: FileHandle, secret: Secret | undefined): Promise<void> {
  const engine = overFiles(name, data, log, { readOnly: true, create: false }, secret)
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
