// Lightning DB in service workers, which have no workers of their own: the engine runs in this thread, on IndexedDB. The origin
// private file system is for dedicated workers alone.

import type { Database } from './database.js'
import { LightningError } from './errors.js'
import * as idb from './idb.js'
import { type BrowserOptions, open as openAnywhere } from './index.js'
import type { OpenMessage } from './messages.js'
import * as opfs from './opfs.js'
import type { Scope } from './owner.js'
import { serve } from './serve.js'

export * from './index.js'

/**
 * Opens the database `name` of this origin: by the tab that has it open, else here, where it is in IndexedDB. One that is not there is
 * made only where `storage` says so, for tabs may want it elsewhere. Everything else is `NoOwner`.
 */
export function open(name: string, options: BrowserOptions = {}): Promise<Database> {
  // By tabs alone: there is no worker here that could have ciphers.
  if (options.encryption !== undefined) return openAnywhere(name, options)
  const wasm = options.wasm ?? new URL('./lightning.wasm', import.meta.url)
  return openAnywhere(name, { worker: () => new Here() as unknown as Worker, ...options, wasm })
}

/** What a page has as its worker, in this thread. */
class Here {
  onmessage: ((event: { data: unknown }) => void) | null = null
  onerror: ((event: { message: string; preventDefault(): void }) => void) | null = null
  #end!: () => void
  readonly #scope: Scope = {
    onmessage: null,
    postMessage: data => queueMicrotask(() => this.onmessage?.({ data })),
    close: () => this.#end(),
    ended: new Promise(resolve => (this.#end = resolve)),
  }

  /** Messages are heard in their order, the first one after it is known whether the database can be opened here. */
  #last = Promise.resolve()

  constructor() {
    serve(this.#scope)
    globalThis.addEventListener('error', this.#stopped)
  }

  postMessage(data: unknown): void {
    this.#last = this.#last.then(() => this.#hear({ data } as MessageEvent)).catch(error => this.#failed(error))
  }

  terminate(): void {
    globalThis.removeEventListener('error', this.#stopped)
    this.#scope.onmessage = null
    this.#end()
  }

  async #hear(event: MessageEvent): Promise<void> {
    const { open: name, options } = event.data as Partial<OpenMessage>
    if (name !== undefined && !(await isHere(name, options!.storage))) {
      const { code, fields } = new LightningError('NoOwner', [name])
      return this.onmessage?.({ data: { failed: { code, fields } } })
    }
    // Nobody waits for what comes of it: that comes as a message.
    this.#scope.onmessage?.(event)
  }

  #stopped = ({ error }: ErrorEvent): void => {
    if (error instanceof WebAssembly.RuntimeError) this.#failed(error)
  }

  #failed({ message }: Error): void {
    this.onerror?.({ message, preventDefault: () => {} })
  }
}

/** Whether a database can be opened in this thread. */
async function isHere(name: string, storage: BrowserOptions['storage']): Promise<boolean> {
  if (storage === 'memory' || (await idb.exists(name))) return true
  return storage === 'indexeddb' && !((await opfs.unreachable()) === undefined && (await opfs.exists(name)))
}
