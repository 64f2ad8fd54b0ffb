// The dedicated worker that owns a database's files and runs the engine. It is started by `open`, and hears first what to
// open; then requests, each a buffer, to which it answers with buffers.

import { failure, opening, optionBytes } from './local.js'
import { Engine as WasmEngine, initSync, default as init } from './generated/engine.js'
import type { OpenOptions, StorageName } from './database.js'
import { LightningError } from './errors.js'
import { type Engine, Host } from './host.js'
import * as idb from './idb.js'
import * as opfs from './opfs.js'

/** The first message: what to open. */
export interface OpenMessage {
  open: string
  options: OpenOptions
  /** Where the engine is, or it itself. */
  wasm: string | WebAssembly.Module
}

/** The answer to it. */
export type OpenedMessage = { opened: { name: string; storage: StorageName } } | { failed: PlainError }

/** The last message of a worker that was told to close, or of one whose engine has stopped. */
export type ClosedMessage = { closed: PlainError | null }

/** An error as it crosses between threads. */
export interface PlainError {
  code: string
  fields: (string | number | bigint)[]
}

export function plain(error: unknown): PlainError {
  if (error instanceof LightningError) return { code: error.code, fields: [...error.fields] }
  const { name = 'Error', message = String(error) } = (error ?? {}) as Error
  if (name === 'QuotaExceededError') return { code: 'StorageFull', fields: [message, 0, 0] }
  return { code: 'StorageFailed', fields: [`${name}: ${message}`, 0, 0] }
}

interface Scope {
  postMessage(message: unknown, transfer?: Transferable[]): void
  onmessage: ((event: MessageEvent) => void) | null
  close(): void
}

/** Begins to serve; called by the worker's own script. */
export function serve(scope: Scope): void {
  let closing = false
  scope.onmessage = async ({ data }: MessageEvent<OpenMessage>) => {
    scope.onmessage = null
    try {
      const { engine, storage, later } = await openEngine(data)
      const host = new Host(engine, later)
      const client = host.connect({
        send: response => scope.postMessage(response, [response.buffer as ArrayBuffer]),
        end: why => {
          if (!closing) scope.postMessage({ closed: plain(why) } satisfies ClosedMessage)
        },
      })
      scope.onmessage = async ({ data }: MessageEvent<Uint8Array | 'close'>) => {
        if (data !== 'close') return client.receive(data)
        closing = true
        let why: PlainError | null = null
        try {
          await host.close()
        } catch (error) {
          why = plain(failure(error))
        }
        scope.postMessage({ closed: why } satisfies ClosedMessage)
        scope.close()
      }
      scope.postMessage({ opened: { name: data.open, storage } } satisfies OpenedMessage)
    } catch (error) {
      scope.postMessage({ failed: plain(failure(error)) } satisfies OpenedMessage)
      scope.close()
    }
  }
}

async function openEngine({ open: name, options, wasm }: OpenMessage): Promise<{ engine: Engine; storage: StorageName; later: boolean }> {
  // Compiled while the files are looked for.
  const compiled = (async () => {
    if (wasm instanceof WebAssembly.Module) initSync({ module: wasm })
    else await init({ module_or_path: wasm })
  })()
  compiled.catch(() => {})
  const storage = await choose(name, options)
  const bytes = optionBytes(options)
  if (storage === 'opfs') {
    const { data, log } = await opfs.openHandles(name)
    try {
      await compiled
    } catch (error) {
      data.close()
      log.close()
      throw failedToLoad(wasm, error)
    }
    const engine = opening(() => WasmEngine.openFiles(name, data as never, log as never, bytes))
    return { engine: engine as unknown as Engine, storage, later: false }
  }
  await compiled.catch(error => {
    throw failedToLoad(wasm, error)
  })
  if (storage === 'memory') {
    return { engine: opening(() => WasmEngine.openMemory(bytes)) as unknown as Engine, storage, later: false }
  }
  const engine = await WasmEngine.openIndexedDb(idb.idbName(name), bytes)
  return { engine: engine as unknown as Engine, storage, later: true }
}

function failedToLoad(wasm: string | WebAssembly.Module, error: unknown): LightningError {
  const what = typeof wasm === 'string' ? wasm : 'that was given'
  return new LightningError('WorkerFailed', [what, (error as Error).message], { cause: error })
}

/**
 * Where the database lives. One that exists is opened where it is, and never made a second time elsewhere; a new one is made
 * where it was asked for, else in the origin private file system, else in IndexedDB.
 */
async function choose(name: string, { storage, create = true }: OpenOptions): Promise<StorageName> {
  if (storage === 'memory') return storage
  if (storage === 'file') throw new LightningError('StorageUnavailable', [storage, 'files are for Node, Deno and Bun'])
  const noOpfs = await opfs.unavailable()
  const [inOpfs, inIdb] = await Promise.all([noOpfs ? false : opfs.exists(name), idb.exists(name)])
  const found: StorageName | undefined = inOpfs ? 'opfs' : inIdb ? 'indexeddb' : undefined
  if (found) {
    if (storage && storage !== found) {
      throw new LightningError('StorageUnavailable', [
        storage,
        `the database '${name}' is in '${found}'; open it there, or delete it with destroy('${name}')`,
      ])
    }
    return found
  }
  if (!create) throw new LightningError('NotADatabase', [`there is no database '${name}'`])
  const noIdb = idb.unavailable()
  if (storage === 'opfs' && noOpfs) throw new LightningError('StorageUnavailable', [storage, noOpfs])
  if (storage === 'indexeddb' && noIdb) throw new LightningError('StorageUnavailable', [storage, noIdb])
  if (storage) return storage
  if (!noOpfs) return 'opfs'
  if (!noIdb) return 'indexeddb'
  throw new LightningError('StorageUnavailable', ['opfs', `${noOpfs}, and ${noIdb}`])
}
