// Files of Node, Deno and Bun as the engine sees them: what `FileSystemSyncAccessHandle` is in browsers.

import * as fs from 'node:fs'
import * as path from 'node:path'
import { LightningError } from './errors.js'
import { lock } from './lock.js'

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
    const unlock = lock(name)
    try {
      const data = new FileHandle(name, create, readOnly)
      return { name, data, log: new FileHandle(`${name}-log`, true, false), unlock }
    } catch (error) {
      unlock()
      throw error
    }
  } catch (error) {
    throw error instanceof LightningError ? error : failed(error as NodeJS.ErrnoException, name)
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
    return was
  } finally {
    unlock()
  }
}

/** The databases in a folder, by the names of their files. */
export function listFiles(folder: string): string[] {
  return fs.readdirSync(folder).filter(name => name.endsWith('.ldb')).sort()
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
