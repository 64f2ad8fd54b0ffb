// Files of Node, Deno and Bun as the engine sees them: what `FileSystemSyncAccessHandle` is in browsers.

import * as fs from 'node:fs'
import * as path from 'node:path'
import { LightningError } from './errors.js'
import { lock } from './lock.js'
import { requireFree } from './restoring.js'

/** An open file. */
export class FileHandle {
  readonly #descriptor: number

  constructor(file: string, create: boolean, readOnly: boolean) {
    const mode = readOnly ? fs.constants.O_RDONLY : fs.constants.O_RDWR | (create ? fs.constants.O_CREAT : 0)
    this.#descriptor = fs.openSync(file, mode, 0o644)
  }

  read(bytes: Uint8Array, { at }: { at: number }): number {
    return fs.readSync(this.#descriptor, bytes, 0, bytes.length, at)
  }

  write(bytes: Uint8Array, { at }: { at: number }): number {
    return fs.writeSync(this.#descriptor, bytes, 0, bytes.length, at)
  }

  truncate(length: number): void {
    fs.ftruncateSync(this.#descriptor, length)
  }

  getSize(): number {
    return fs.fstatSync(this.#descriptor).size
  }

  flush(): void {
    fs.fdatasyncSync(this.#descriptor)
  }

  close(): void {
    fs.closeSync(this.#descriptor)
  }
}

/** A file that is not there, to whoever only reads. */
const MISSING = { read: () => 0, getSize: () => 0, close: () => {} }

function openLog(file: string, readOnly: boolean): FileHandle {
  try {
    return new FileHandle(file, true, readOnly)
  } catch (error) {
    if (readOnly && (error as NodeJS.ErrnoException).code === 'ENOENT') return MISSING as unknown as FileHandle
    throw error
  }
}

/** Both files of a database, which nobody else has open while they are. */
export interface DatabaseFiles {
  name: string
  data: FileHandle
  log: FileHandle
  /** Gives them up, after they are closed. */
  unlock(): void
}

/** Opens the files of the database at `location`, `.ldb` added where it has no ending. */
export function openFiles(location: string, create: boolean, readOnly: boolean): DatabaseFiles {
  const name = fileOf(location)
  try {
    if (create && !readOnly) fs.mkdirSync(path.dirname(name), { recursive: true })
    const unlock = lock(name, readOnly)
    try {
      if (!readOnly) fs.rmSync(restoringName(name), { force: true })
      const data = new FileHandle(name, create, readOnly)
      return { name, data, log: openLog(`${name}-log`, readOnly), unlock }
    } catch (error) {
      unlock()
      throw error
    }
  } catch (error) {
    throw error instanceof LightningError ? error : failed(error as NodeJS.ErrnoException, name)
  }
}

/**
 * Makes the database at `location` of a backup, which `write` writes to the handle of a new file and `check` looks at. The file gets
 * its name when that is done.
 */
export function restoreFile(location: string, overwrite: boolean): Restoring {
  const name = fileOf(location)
  const temporary = restoringName(name)
  try {
    fs.mkdirSync(path.dirname(name), { recursive: true })
    const unlock = lock(name)
    try {
      requireFree(name, fs.existsSync(name), overwrite)
      fs.rmSync(temporary, { force: true })
      const file = new FileHandle(temporary, true, false)
      let at = 0
      return {
        write: bytes => {
          for (let from = 0; from < bytes.length; ) {
            const written = guarded(name, () => file.write(bytes.subarray(from), { at }))
            from += written
            at += written
          }
        },
        check: look => {
          file.flush()
          return look(temporary, new FileHandle(temporary, false, true), MISSING as unknown as FileHandle)
        },
        end: keep => {
          try {
            file.close()
            if (!keep) return
            guarded(name, () => fs.renameSync(temporary, name))
            // Nothing of it belongs to what is there now, which says so itself.
            fs.rmSync(`${name}-log`, { force: true })
            syncFolder(path.dirname(name))
          } finally {
            fs.rmSync(temporary, { force: true })
            unlock()
          }
        },
      }
    } catch (error) {
      unlock()
      throw error
    }
  } catch (error) {
    throw error instanceof LightningError ? error : failed(error as NodeJS.ErrnoException, name)
  }
}

/** A restore under way. */
export interface Restoring {
  write(bytes: Uint8Array): void
  check<R>(look: (name: string, data: FileHandle, log: FileHandle) => R): R
  /** With `keep` the database is there from now on; without, all is as it was. */
  end(keep: boolean): void
}

function guarded<R>(name: string, run: () => R): R {
  try {
    return run()
  } catch (error) {
    throw failed(error as NodeJS.ErrnoException, name)
  }
}

/** So that a new name survives a power loss. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const descriptor = fs.openSync(folder, 'r')
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** The file of a database, whichever way leads there. */
export function realFile(location: string): string {
  const file = fileOf(location)
  try {
    return fs.realpathSync(file)
  } catch {
    try {
      return path.join(fs.realpathSync(path.dirname(file)), path.basename(file))
    } catch {
      return file
    }
  }
}

/** Deletes the database at `location`; false when there is none. */
export function removeFiles(location: string): boolean {
  const name = fileOf(location)
  const unlock = lock(name)
  try {
    const was = fs.existsSync(name)
    fs.rmSync(name, { force: true })
    fs.rmSync(`${name}-log`, { force: true })
    fs.rmSync(restoringName(name), { force: true })
    return was
  } finally {
    unlock()
  }
}

/** The databases in a folder, by the names of their files. */
export function listFiles(folder: string): string[] {
  const names = fs.readdirSync(folder)
  for (const name of names.filter(name => name.endsWith(RESTORING))) sweep(path.join(folder, name.slice(0, -RESTORING.length)))
  return names.filter(name => name.endsWith('.ldb')).sort()
}

/** Takes away what a restore left whose process ended, unless another one goes on. */
function sweep(name: string): void {
  try {
    const unlock = lock(name)
    try {
      fs.rmSync(restoringName(name), { force: true })
    } finally {
      unlock()
    }
  } catch {
    // It is in nobody's way.
  }
}

/** What the name of a file ends with that is being made of a backup. */
const RESTORING = '-restoring'

function restoringName(name: string): string {
  return name + RESTORING
}

function fileOf(location: string): string {
  if (typeof location !== 'string' || location === '') {
    throw new LightningError('Invalid', ['a database has a path, which is a text'])
  }
  const file = path.resolve(location)
  return path.extname(file) === '' ? `${file}.ldb` : file
}

function failed(error: NodeJS.ErrnoException, name: string): LightningError {
  const options = { cause: error }
  switch (error.code) {
    case 'ENOENT':
      return new LightningError('NotADatabase', [`there is no file ${name}`], options)
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new LightningError('PermissionDenied', [error.message, 0, 0], options)
    case 'ENOSPC':
      return new LightningError('StorageFull', [error.message, 0, 0], options)
    default:
      return new LightningError('StorageFailed', [error.message, 0, 0], options)
  }
}
