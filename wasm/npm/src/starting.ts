// A worker that is being started, the WebAssembly that it will run, and the files that it will open. None waits for another, nor
// until it is known what to open: a page begins with all at once.

import { LightningError } from './errors.js'
import type { CompiledMessage, OpenMessage, Opened, OpenedMessage } from './messages.js'
import { type Place, look } from './opfs.js'

/** A worker that has not answered by then has not started. */
const START_MS = 20_000
/** What whoever opens a database that is there asks for next needs these parts. */
const USUAL_PARTS: readonly number[] = [2]

/** What is asked of a worker; the rest is known before. */
export type Asked = Omit<OpenMessage, 'wasm' | 'parts' | 'place' | 'coming'>

export class Starting {
  /** Undefined where it could not even be asked for. */
  readonly worker: Worker | undefined
  /** Null where the page could not: its worker tries again, and says why. */
  readonly #compiled: Promise<WebAssembly.Module | null>
  /** Undefined where there is none, or nothing was looked for. */
  readonly #place: Promise<Place | undefined>
  /** Parts that are fetched already. */
  #coming: readonly number[] = []
  #later: Promise<WebAssembly.Module | null>[] = []
  #failed!: (why: unknown) => void
  readonly #failure = new Promise<never>((_, reject) => (this.#failed = reject))
  #isForbidden = false

  /** @param name the database that is looked for meanwhile */
  constructor(
    start: () => Worker,
    private readonly wasm: string | WebAssembly.Module,
    private readonly parts: string[],
    name?: string,
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
    this.#place = name === undefined ? Promise.resolve(undefined) : this.#look(name)
    this.#compiled = compiled(wasm)
  }

  /** Has it open a database; gives what it opened. The worker is over where that fails. */
  async open(message: Asked): Promise<Opened> {
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

  async #ask(message: Asked): Promise<Opened> {
    const place = await this.#place
    return new Promise((resolve, reject) => {
      const { worker } = this
      if (!worker) return
      worker.onmessage = ({ data }: MessageEvent<OpenedMessage>) => {
        if ('opened' in data) resolve(data.opened)
        else reject(new LightningError(data.failed.code, data.failed.fields))
      }
      const { wasm, parts } = this
      const asked: OpenMessage = { ...message, wasm, parts, coming: this.#coming }
      try {
        worker.postMessage(place ? { ...asked, place } : asked)
      } catch {
        // Not every browser hands files over.
        worker.postMessage(asked)
      }
      const hand = (part: number, compiling: Promise<WebAssembly.Module | null>) =>
        void compiling.then(compiled => worker.postMessage({ compiled, part } satisfies CompiledMessage))
      if (!(wasm instanceof WebAssembly.Module)) hand(0, this.#compiled)
      this.#coming.forEach((part, at) => hand(part, this.#later[at]!))
    })
  }

  /** Looks for the files. Where there are some, more of the engine will be needed. */
  async #look(name: string): Promise<Place | undefined> {
    const place = await look(name).catch(() => undefined)
    if (typeof place !== 'object' || !place.data) return undefined
    if (this.parts.length > 0) this.#coming = USUAL_PARTS
    this.#later = this.#coming.map(part => compiled(this.parts[part - 1]!))
    return place
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
  return new LightningError('WorkerFailed', [`worker.js beside ${import.meta.url}`, why], options)
}
