// The dedicated worker that owns a database's files and runs the engine. It is started by `open`, and hears first what to
// open; then requests, each a buffer, to which it answers with buffers.

import { failure, opening } from './failure.js'
import { optionBytes } from './local.js'
import { Engine as WasmEngine, start } from 'engine'
import type { OpenOptions, StorageName } from './database.js'
import { LightningError } from './errors.js'
import { type Engine, Host } from './host.js'
import * as idb from './idb.js'
import { sweep } from './leftovers.js'
import { type CompiledMessage, type OpenMessage, type OpenedMessage, filesLock, plain } from './messages.js'
import * as opfs from './opfs.js'
import { restoreFiles } from './restoring-opfs.js'
import { requireFree, requireWhole } from './restoring.js'
import { Owner, type Scope } from './owner.js'
import { forget, isAgain, isGiven, unlocked } from './unlocking.js'
import { MERGING, Parts, REST, USUAL, fetchedModule } from './parts.js'

/** The files are waited for so long. */
const FILES_MS = 5000

/** Begins to serve; called by the worker's own script. */
export function serve(scope: Scope): void {
  // Asked before it is known what for.
  const root = opfs.root()
  scope.onmessage = async ({ data }: MessageEvent<OpenMessage>) => {
    const parts = new Parts(data.parts)
    const module = new Promise<WebAssembly.Module | null>(resolve => {
      scope.onmessage = ({ data: { part, compiled } }: MessageEvent<CompiledMessage>) =>
        part ? parts.take(part, compiled) : resolve(compiled)
    })
    try {
      // Compiled while the files are looked for.
      const compiled = compile(data.wasm, module)
      compiled.catch(() => {})
      if (!FILES_ALONE && data.restore) {
        // Nothing of it is what applications usually do.
        const whole = compiled.then(() => parts.bring(REST))
        whole.catch(() => {})
        const { restore: from } = data
        const storage = await elsewhere(() => restore(data, from, whole))
        scope.postMessage({ opened: { name: data.open, storage } } satisfies OpenedMessage)
        return scope.close()
      }
      const here = await elsewhere(async () => {
        // Only with locks nobody restores meanwhile. What cannot be taken away now is another time.
        const swept = data.shared && sweep(data.open).catch(() => false)
        const choice = await choose(data.open, data.options, root, swept)
        if (FILES_ALONE && choice.storage === 'indexeddb') return void (await swept)
        // This thread opens the database meanwhile.
        if (choice.place && data.usual) scope.postMessage({ fetch: parts.expect(USUAL) } satisfies OpenedMessage)
        const opened = await openEngine(data, choice, compiled, parts, scope.ended)
        await swept
        return { ...opened, storage: choice.storage }
      })
      if (!here) {
        scope.postMessage({ other: true } satisfies OpenedMessage)
        return scope.close()
      }
      const { engine, storage, later } = here
      if (ENCRYPTED) {
        forget()
        engine.requireKeys!()
      }
      const opened = { name: data.open, storage }
      new Owner(scope, data, new Host(engine, later, parts), opened, parts)
      scope.postMessage({ opened } satisfies OpenedMessage)
    } catch (error) {
      scope.postMessage({ failed: plain(failure(error)) } satisfies OpenedMessage)
      scope.close()
    }
  }
}

/**
 * Again, where the browser refused the handles that it seemed to have: then what is new is elsewhere; and where whoever keeps the key
 * had to be asked.
 */
async function elsewhere<R>(run: () => Promise<R>): Promise<R> {
  try {
    return await run()
  } catch (error) {
    if (ENCRYPTED && (await isGiven(error))) return elsewhere(run)
    if (!opfs.isRefused()) throw error
    return run()
  }
}

/**
 * Waits until the owner before has closed its database. It is this worker's until that ends. Handles of files are exclusive by
 * themselves; IndexedDB lets everybody in.
 */
function takeFiles(name: string, ended: Promise<void> = new Promise(() => {})): Promise<void> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(filesLock(name), { signal: AbortSignal.timeout(FILES_MS) }, () => {
        resolve()
        return ended
      })
      .catch(error => reject(new LightningError('OwnerUnresponsive', [name], { cause: error })))
  })
}

async function compile(wasm: string | WebAssembly.Module, fromPage: Promise<WebAssembly.Module | null>): Promise<void> {
  const module = wasm instanceof WebAssembly.Module ? wasm : await fromPage
  start(module ?? (await fetchedModule(wasm as string)))
}

async function openEngine(
  { open: name, options, wasm, shared }: OpenMessage,
  { storage, place }: Choice,
  compiled: Promise<void>,
  parts: Parts,
  ended?: Promise<void>,
): Promise<{ engine: Engine; later: boolean }> {
  const bytes = ENCRYPTED ? unlocked(optionBytes(options)) : optionBytes(options)
  if (place) {
    const { data, log } = await opfs.openHandles(name, place)
    const isNew = data.getSize() === 0
    try {
      await compiled.catch(error => {
        data.close()
        log.close()
        throw failedToLoad(wasm, error)
      })
      const engine = opening(() => WasmEngine.openFiles(name, data as never, log as never, bytes))
      return { engine: engine as unknown as Engine, later: false }
    } catch (error) {
      // What could not be opened was not made.
      if (isNew) await opfs.removeFiles(name).catch(() => {})
      throw error
    }
  }
  await compiled.catch(error => {
    throw failedToLoad(wasm, error)
  })
  if (!FILES_ALONE && storage === 'indexeddb' && shared && !(ENCRYPTED && isAgain())) await takeFiles(name, ended)
  if (FILES_ALONE || storage === 'memory') {
    return { engine: opening(() => WasmEngine.openMemory(bytes)) as unknown as Engine, later: false }
  }
  // Nothing of it is what applications usually do.
  await Promise.all([parts.bring(MERGING), parts.bring(REST)])
  const opened = WasmEngine.openIndexedDb(idb.idbName(name), bytes)
  // What could not be encrypted was not made.
  if (ENCRYPTED) await opened.catch(async () => (await idb.isEmpty(name)) && idb.remove(name))
  const engine = await opened
  return { engine: engine as unknown as Engine, later: true }
}

/** Makes the database of a backup; before that is whole, and where it is not, everything is as it was. */
async function restore(
  { open: name, options, wasm, shared }: OpenMessage,
  { source, overwrite }: { source: Blob; overwrite: boolean },
  compiled: Promise<void>,
): Promise<StorageName> {
  await sweep(name)
  const [found, inIdb] = await Promise.all([opfs.find(name), idb.exists(name)])
  requireFree(name, inIdb || (typeof found !== 'string' && found.data !== undefined), overwrite)
  const { storage, place } = await choose(name, { ...options, create: true })
  if (storage === 'memory') throw new LightningError('StorageUnavailable', [storage, 'a backup is restored to where it stays'])
  await compiled.catch(error => {
    throw failedToLoad(wasm, error)
  })
  const plain = optionBytes({ ...options, readOnly: true, create: false })
  const bytes = ENCRYPTED ? unlocked(plain) : plain
  if (!place) {
    if (shared && !(ENCRYPTED && isAgain())) await takeFiles(name)
    const make = async () => {
      const file = new Uint8Array(await source.arrayBuffer())
      const engine = (await WasmEngine.openIndexedDb(idb.idbName(name), bytes, file)) as unknown as Engine
      try {
        await requireWhole(engine, true)
        await engine.closeLater()
      } finally {
        engine.free()
      }
    }
    if (inIdb) {
      await make().catch(async error => {
        await idb.rest(name).catch(() => {})
        throw error
      })
    } else {
      await idb.making(name, make)
    }
    return storage
  }
  await restoreFiles(name, place, source, bytes, WasmEngine)
  return storage
}

function failedToLoad(wasm: string | WebAssembly.Module, error: unknown): LightningError {
  const what = typeof wasm === 'string' ? wasm : 'that was given'
  const { message } = error as Error
  if (/content security|\bcsp\b/i.test(message)) return new LightningError('PolicyForbids', ['WebAssembly', "script-src 'wasm-unsafe-eval'"], { cause: error })
  return new LightningError('WorkerFailed', [what, message], { cause: error })
}

interface Choice {
  storage: StorageName
  /** Of the origin private file system. */
  place?: opfs.Place
}

/**
 * Where the database lives. One that exists is opened where it is, and never made a second time elsewhere; a new one is made
 * where it was asked for, else in the origin private file system, else in IndexedDB.
 */
async function choose(
  name: string,
  { storage, create = true }: OpenOptions,
  root?: ReturnType<typeof opfs.root>,
  swept: Promise<boolean> | false = false,
): Promise<Choice> {
  if (storage === 'memory') return { storage }
  if (storage === 'file') throw new LightningError('StorageUnavailable', [storage, 'files are for Node, Deno and Bun'])
  // Asked at once, for a new database waits for both answers.
  const looking = idb.exists(name)
  looking.catch(() => {})
  const place = await opfs.find(name, root)
  const noOpfs = typeof place === 'string' ? place : undefined
  const inOpfs: Choice | undefined = typeof place === 'string' ? undefined : { storage: 'opfs', place }
  // An empty one that a restore has left is none.
  const isInIdb = async () => (await looking) && !(await swept)
  const found: Choice | undefined = inOpfs?.place?.data ? inOpfs : (await isInIdb()) ? { storage: 'indexeddb' } : undefined
  // Whoever has IndexedDB looks at it once more.
  if (FILES_ALONE && found && !found.place) return found
  const noIdb = idb.unusable()
  if (found) {
    if (storage && storage !== found.storage) {
      throw new LightningError('StorageUnavailable', [
        storage,
        `the database '${name}' is in '${found.storage}'; open it there, or delete it with destroy('${name}')`,
      ])
    }
    if (!FILES_ALONE && !found.place && noIdb) throw new LightningError('StorageUnavailable', [found.storage, noIdb])
    return found
  }
  if (!create) throw new LightningError('NotADatabase', [`there is no database '${name}'`])
  if (storage === 'opfs' && noOpfs) throw new LightningError('StorageUnavailable', [storage, noOpfs])
  if (storage === 'indexeddb' && noIdb) throw new LightningError('StorageUnavailable', [storage, noIdb])
  if (storage !== 'indexeddb' && inOpfs) return inOpfs
  if (!noIdb) return { storage: 'indexeddb' }
  throw new LightningError('StorageUnavailable', ['opfs', `${noOpfs}, and ${noIdb}`])
}
