// The origin private file system: two files for each database, opened as synchronous access handles, which only dedicated
// workers have.

import { LightningError } from './errors.js'

/** What workers have, and the types of pages do not know. */
export interface SyncAccessHandle {
  getSize(): number
  truncate(length: number): void
  write(bytes: Uint8Array, options: { at: number }): number
  flush(): void
  close(): void
}

/** Handles of both files. */
export interface Handles {
  data: SyncAccessHandle
  log: SyncAccessHandle
}

/** A handle that another tab is about to close is waited for so long. */
const BUSY_MS = 5000
const RETRY_MS = 25

/** Where a database is, or would be. */
export interface Place {
  directory: FileSystemDirectoryHandle
  /** Undefined when there is no such database. */
  data: FileSystemFileHandle | undefined
  log: FileSystemFileHandle | undefined
}

/** Looks for a database; why it cannot be opened there from here, where it cannot. */
export async function find(name: string, among = root()): Promise<Place | string> {
  const directory = await among
  if (typeof directory === 'string') return directory
  if (!('createSyncAccessHandle' in (FileSystemFileHandle.prototype as object))) return 'the browser has no synchronous file handles'
  const [found, log] = await Promise.all([dataName(name), logName(name)].map(file => entry(directory, file)))
  let data = found
  if (!data && isCareful()) {
    // A restore ended between its two steps.
    const replaced = await entry(directory, dataName(name) + REPLACED)
    if (replaced) await move(replaced, directory, dataName(name))
    data = replaced
  }
  if (!refused) return { directory, data, log }
  if (data && (await data.getFile()).size > 0) throw new LightningError('StorageUnavailable', ['opfs', refused])
  return refused
}

/** Whether there is such a database, for those who cannot open it. */
export async function exists(name: string): Promise<boolean> {
  return (await entry(await navigator.storage.getDirectory(), dataName(name))) !== undefined
}

/** Why the browser gives no synchronous handles, though it knows the call. */
let refused: string | undefined

/** Whether it has refused them: what is new has to be elsewhere. */
export function isRefused(): boolean {
  return refused !== undefined
}

async function entry(directory: FileSystemDirectoryHandle, file: string): Promise<FileSystemFileHandle | undefined> {
  try {
    return await directory.getFileHandle(file)
  } catch (error) {
    if ((error as DOMException).name === 'NotFoundError') return undefined
    throw error
  }
}

/** Why there is no such storage; undefined when there is. Pages reach it, too, but have no synchronous handles. */
export async function unreachable(): Promise<string | undefined> {
  const directory = await root()
  return typeof directory === 'string' ? directory : undefined
}

/** Where the files of this origin are, or why there is no such storage. */
export async function root(): Promise<FileSystemDirectoryHandle | string> {
  if (!globalThis.isSecureContext) return 'the page is not from https or localhost'
  if (!navigator.storage?.getDirectory || typeof FileSystemFileHandle === 'undefined') return 'the browser has none'
  try {
    return await navigator.storage.getDirectory()
  } catch (error) {
    return `the browser refuses it, as in some private windows (${(error as Error).message})`
  }
}

/** What the names of files end with that are being made of a backup. */
const RESTORING = '-restoring'
/** And with what is put aside for a moment, where nothing can be moved over it. */
const REPLACED = '-replaced'

/** Opens both files, making them where missing; or those that are to take their place. */
export async function openHandles(name: string, { directory, ...found }: Place, restoring = false): Promise<Handles> {
  const ending = restoring ? RESTORING : ''
  const made = (file: string) => directory.getFileHandle(file + ending, { create: true })
  const [data, log] = await Promise.allSettled([
    openHandle((!restoring && found.data) || made(dataName(name)), name),
    openHandle((!restoring && found.log) || made(logName(name)), name),
  ])
  if (data.status === 'fulfilled' && log.status === 'fulfilled') return { data: data.value, log: log.value }
  if (data.status === 'fulfilled') data.value.close()
  if (log.status === 'fulfilled') log.value.close()
  if (refused && !found.data) await removeFiles(name).catch(() => {})
  throw data.status === 'rejected' ? data.reason : (log as PromiseRejectedResult).reason
}

async function openHandle(file: FileSystemFileHandle | Promise<FileSystemFileHandle>, name: string): Promise<SyncAccessHandle> {
  const handle = await file
  const deadline = performance.now() + BUSY_MS
  for (;;) {
    try {
      return await (handle as unknown as { createSyncAccessHandle(): Promise<SyncAccessHandle> }).createSyncAccessHandle()
    } catch (error) {
      if ((error as DOMException).name === 'NotSupportedError') {
        refused = `the browser refuses synchronous file handles (${(error as Error).message})`
        throw new LightningError('StorageUnavailable', ['opfs', refused], { cause: error })
      }
      // Just after a reload the page before may still have it.
      if (!isBusy(error)) throw error
      if (performance.now() > deadline) throw new LightningError('DatabaseBusy', [name], { cause: error })
      await new Promise(resolve => setTimeout(resolve, RETRY_MS))
    }
  }
}

/** Somebody has it open: WebKit has its own word for it. */
function isBusy(error: unknown): boolean {
  return /^(NoModificationAllowed|InvalidState)Error$/.test((error as DOMException).name)
}

/** The file that was made of a backup becomes the database's. */
export async function replaceFiles(name: string): Promise<void> {
  const directory = await navigator.storage.getDirectory()
  const to = dataName(name)
  const restored = await directory.getFileHandle(to + RESTORING)
  const before = await entry(directory, to)
  // WebKit would move over what somebody has open.
  if (before) (await openHandle(before, name)).close()
  try {
    if (before && isCareful()) await move(before, directory, to + REPLACED)
    await move(restored, directory, to)
  } catch (error) {
    throw isBusy(error) ? new LightningError('DatabaseBusy', [name], { cause: error }) : error
  }
  // Nothing of it belongs to what is there now, which says so itself.
  for (const file of [logName(name), to + REPLACED]) await directory.removeEntry(file).catch(() => {})
}

interface Movable {
  move?(directory: FileSystemDirectoryHandle, name: string): Promise<void>
}

async function move(file: FileSystemFileHandle, directory: FileSystemDirectoryHandle, name: string): Promise<void> {
  const movable = file as Movable
  if (!movable.move) throw new LightningError('StorageUnavailable', ['opfs', "the browser does not rename files; restore into 'indexeddb'"])
  await movable.move(directory, name)
}

/** Whether it is WebKit, which until Safari 17 moved nothing over what was there: it alone asks for both arguments. */
function isCareful(): boolean {
  return (FileSystemFileHandle.prototype as Movable).move?.length === 2
}

/** Deletes both files; whether there were any. Or those that were to take their place. */
export async function removeFiles(name: string, restoring = false): Promise<boolean> {
  const directory = await navigator.storage.getDirectory()
  const ending = restoring ? RESTORING : ''
  const removed = await Promise.all(
    [dataName(name) + ending, logName(name) + ending].map(file =>
      directory.removeEntry(file).then(
        () => true,
        (error: DOMException) => {
          if (error.name === 'NotFoundError') return false
          if (isBusy(error)) throw new LightningError('DatabaseBusy', [name], { cause: error })
          throw error
        },
      ),
    ),
  )
  return removed[0]!
}

/** The names of all databases here; or of those of which files are there that were to take their place. */
export async function listNames(restoring = false): Promise<string[]> {
  const ending = restoring ? `.ldb${RESTORING}` : '.ldb'
  const directory = await navigator.storage.getDirectory()
  const names: string[] = []
  for await (const name of (directory as unknown as { keys(): AsyncIterable<string> }).keys()) {
    if (name.endsWith(ending)) names.push(decodeURIComponent(name.slice(0, -ending.length)))
  }
  return names
}

// Names of databases may hold what names of files may not.
function dataName(name: string): string {
  return `${encodeURIComponent(name)}.ldb`
}

function logName(name: string): string {
  return `${encodeURIComponent(name)}.ldb-log`
}
