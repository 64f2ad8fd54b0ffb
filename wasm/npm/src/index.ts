// Lightning DB in browsers. Importing it does nothing: `open` starts the worker that runs the engine.

import { type Database, DatabaseOf, type OpenOptions, type StorageName } from './database.js'
import { LightningError } from './errors.js'
import * as idb from './idb.js'
import { AsyncLink, type Channel } from './link.js'
import * as opfs from './opfs.js'
import type { ClosedMessage, OpenMessage, OpenedMessage } from './serve.js'

export * from './interface.js'

/** How a page opens a database. */
export interface BrowserOptions extends OpenOptions {
  /** Where `lightning.wasm` is, where it is not beside this script, or a compiled module. */
  wasm?: string | URL | WebAssembly.Module
  /** Starts the worker, where the bundler does not find it: `() => new Worker(new URL('lightning-db/worker', import.meta.url))`. */
  worker?: () => Worker
}

/** A worker that has not answered by then has not started. */
const START_MS = 20_000

/** Opens the database `name` of this origin. It is made where it is missing. */
export async function open(name: string, options: BrowserOptions = {}): Promise<Database> {
  const { worker: start, wasm, ...rest } = options
  const worker = start ? start() : startWorker()
  const source = wasm instanceof WebAssembly.Module ? wasm : String(wasm ?? new URL('./lightning.wasm', import.meta.url))
  const opened = await new Promise<{ name: string; storage: StorageName }>((resolve, reject) => {
    const fail = (why: string) =>
      reject(new LightningError('WorkerFailed', [String(new URL('./worker.js', import.meta.url)), why]))
    const limit = setTimeout(() => fail(`it did not answer within ${START_MS / 1000} seconds`), START_MS)
    worker.onerror = event => fail(event.message || 'it could not be loaded, or is no script')
    worker.onmessage = ({ data }: MessageEvent<OpenedMessage>) => {
      clearTimeout(limit)
      if ('opened' in data) resolve(data.opened)
      else reject(new LightningError(data.failed.code, data.failed.fields))
    }
    worker.postMessage({ open: name, options: rest, wasm: source } satisfies OpenMessage)
  }).catch(error => {
    worker.terminate()
    throw error
  })

  let closed: ((message: ClosedMessage) => void) | undefined
  const channel: Channel = {
    send: request => worker.postMessage(request, [request.buffer]),
    onresponse: () => {},
    onend: () => {},
    close: () => {},
  }
  const end = (why: LightningError) => channel.onend(why)
  worker.onmessage = ({ data }: MessageEvent<Uint8Array | ClosedMessage>) => {
    if (data instanceof Uint8Array) return channel.onresponse(data)
    const why = data.closed
    end(why ? new LightningError(why.code, why.fields) : new LightningError('Closed'))
    closed?.(data)
  }
  worker.onerror = event => end(new LightningError('Restarted', [event.message || 'the worker failed']))
  const link = new AsyncLink(channel)
  return new DatabaseOf(opened.name, opened.storage, options.durability ?? 'sync', link, async () => {
    // What was asked in this turn goes before.
    await Promise.resolve()
    const { closed: why } = await new Promise<ClosedMessage>(resolve => {
      closed = resolve
      worker.postMessage('close')
    })
    worker.terminate()
    if (why) throw new LightningError(why.code, why.fields)
  })
}

function startWorker(): Worker {
  // Written out, for this is what bundlers look for.
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'lightning-db' })
}

/** Deletes the database `name`, which nobody may have open; false when there is none. */
export async function destroy(name: string): Promise<boolean> {
  const removed = await Promise.all([(await opfs.unavailable()) ? false : opfs.removeFiles(name), idb.remove(name)])
  return removed.some(was => was)
}

/** The names of the databases of this origin. */
export async function list(): Promise<string[]> {
  const [files, stores] = await Promise.all([(await opfs.unavailable()) ? [] : opfs.listNames(), idb.listNames()])
  return [...new Set([...files, ...stores])].sort()
}
