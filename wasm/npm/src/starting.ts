// A worker that is being started, and the WebAssembly that it will run. Neither waits for the other, nor until it is known what to
// open: a page begins with both at once.

import { LightningError } from './errors.js'
import type { CompiledMessage, OpenMessage, Opened, OpenedMessage } from './messages.js'

/** A worker that has not answered by then has not started. */
const START_MS = 20_000

export class Starting {
  /** Undefined where it could not even be asked for. */
  readonly worker: Worker | undefined
  /** Null where the page could not: its worker tries again, and says why. */
  readonly module: Promise<WebAssembly.Module | null>
  #failed!: (why: unknown) => void
  readonly #failure = new Promise<never>((_, reject) => (this.#failed = reject))
  #isForbidden = false

  constructor(
    start: () => Worker,
    private readonly wasm: string | WebAssembly.Module,
  ) {
    this.#failure.catch(() => {})
    globalThis.addEventListener?.('securitypolicyviolation', this.#forbidden)
    try {
      this.worker = starting(start)
      this.worker.onerror = event => {
        event.preventDefault()
        this.#failed(notStarted(event.message || 'it could not be loaded, or is no script'))
      }
    } catch (error) {
      this.#failed(error)
    }
    this.module = compiled(wasm)
  }

  /** Has it open a database; gives what it opened, or undefined where another worker has to. The worker is over where that fails. */
  async open(message: Omit<OpenMessage, 'wasm'>): Promise<Opened | undefined> {
    const late = () => this.#failed(notStarted(`it did not answer within ${START_MS / 1000} seconds`))
    // To restore takes as long as it takes.
    const limit = message.restore ? undefined : setTimeout(late, START_MS)
    try {
      return await Promise.race([this.#failure, this.#ask(message)])
    } catch (error) {
      this.worker?.terminate()
      if (this.#isForbidden || (error as DOMException).name === 'SecurityError') {
        throw new LightningError('PolicyForbids', ['the worker', "worker-src 'self'"], { cause: error })
      }
      throw error
    } finally {
      clearTimeout(limit)
      this.#heard()
    }
  }

  /** Nothing is to be opened. */
  terminate(): void {
    this.worker?.terminate()
    this.#heard()
  }

  #ask(message: Omit<OpenMessage, 'wasm'>): Promise<Opened | undefined> {
    return new Promise((resolve, reject) => {
      const { worker } = this
      if (!worker) return
      const hand = async (part: number, compiling: Promise<WebAssembly.Module | null>) =>
        worker.postMessage({ compiled: await compiling, part } satisfies CompiledMessage)
      worker.onmessage = ({ data }: MessageEvent<OpenedMessage>) => {
        if ('fetch' in data) for (const part of data.fetch) void hand(part, compiled(message.parts[part - 1]!))
        else if ('opened' in data) resolve(data.opened)
        else if ('other' in data) resolve(undefined)
        else reject(new LightningError(data.failed.code, data.failed.fields))
      }
      worker.postMessage({ ...message, wasm: this.wasm } satisfies OpenMessage)
      if (!(this.wasm instanceof WebAssembly.Module)) void hand(0, this.module)
    })
  }

  #heard(): void {
    globalThis.removeEventListener?.('securitypolicyviolation', this.#forbidden)
  }

  /** What the page may not fetch or compile, its worker perhaps may. */
  #forbidden = ({ effectiveDirective }: SecurityPolicyViolationEvent): void => {
    if (/^(worker|child)-src/.test(effectiveDirective)) this.#isForbidden = true
  }
}

async function compiled(wasm: string | WebAssembly.Module): Promise<WebAssembly.Module | null> {
  if (wasm instanceof WebAssembly.Module) return wasm
  try {
    return await WebAssembly.compileStreaming(fetch(wasm))
  } catch {
    return null
  }
}

/** A script that does not know where it is cannot say where its worker is. */
function starting(start: () => Worker): Worker {
  try {
    return start()
  } catch (error) {
    if ((error as DOMException).name === 'SecurityError') throw error
    throw notStarted(String((error as Error).message), { cause: error })
  }
}

function notStarted(why: string, options?: ErrorOptions): LightningError {
  return new LightningError('WorkerFailed', [`a worker's script beside ${import.meta.url}`, why], options)
}
