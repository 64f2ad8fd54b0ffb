// The page's side of a worker of its own.

import { LightningError } from './errors.js'
import type { Inline } from './inline.js'
import type { Channel } from './link.js'
import type { ClosedMessage, Note, OpenMessage, Opened, OpenedMessage } from './messages.js'

/** A worker that has not answered by then has not started. */
const START_MS = 20_000

/** A worker that has the files open. */
export class Own implements Channel {
  onresponse: (response: Uint8Array) => void = () => {}
  /** Why it ended; null when it answered everything and closed the files. */
  readonly ended: Promise<LightningError | null>
  readonly #worker: Worker

  constructor(
    worker: Worker,
    readonly opened: Opened,
  ) {
    this.#worker = worker
    this.ended = new Promise(resolve => {
      worker.onmessage = ({ data }: MessageEvent<Uint8Array | ClosedMessage>) => {
        if (data instanceof Uint8Array) return this.onresponse(data)
        resolve(data.closed && new LightningError(data.closed.code, data.closed.fields))
      }
      worker.onerror = event => resolve(new LightningError('Restarted', [event.message || 'the worker failed']))
    })
    void this.ended.then(() => worker.terminate())
  }

  /**
   * Starts it and has it open the database; where neither worker nor WebAssembly come from where they should be, the ones of
   * `spare`, which are part of the script. `begun` hears of each worker before it has answered.
   */
  static async start(
    start: () => Worker,
    message: OpenMessage,
    spare: (() => Promise<Inline>) | undefined,
    begun: (worker: Worker) => void,
  ): Promise<Own> {
    if (!spared || !spare) {
      try {
        return await begin(start, message, begun)
      } catch (error) {
        if (!spare || (error as LightningError).code !== 'WorkerFailed') throw error
        try {
          spared = await spare()
        } catch {
          throw error
        }
      }
    }
    return begin(spared.startWorker, { ...message, wasm: await spared.compile() }, begun)
  }

  send(request: Uint8Array<ArrayBuffer>): void {
    this.#worker.postMessage(request)
  }

  note(note: Note): void {
    this.#worker.postMessage(note)
  }

  terminate(): void {
    this.#worker.terminate()
  }
}

/** Where the first had to be inline, the next is. */
let spared: Inline | undefined

async function begin(start: () => Worker, message: OpenMessage, begun: (worker: Worker) => void): Promise<Own> {
  let policy: string | undefined
  const forbidden = (event: SecurityPolicyViolationEvent) => (policy = event.effectiveDirective)
  globalThis.addEventListener?.('securitypolicyviolation', forbidden)
  let worker: Worker | undefined
  try {
    const started = (worker = starting(start))
    begun(started)
    return await new Promise<Own>((resolve, reject) => {
      const fail = (why: string) => reject(notStarted(why))
      // To restore takes as long as it takes.
      const limit = message.restore ? 0 : setTimeout(() => fail(`it did not answer within ${START_MS / 1000} seconds`), START_MS)
      started.onerror = event => {
        event.preventDefault()
        clearTimeout(limit)
        fail(event.message || 'it could not be loaded, or is no script')
      }
      started.onmessage = ({ data }: MessageEvent<OpenedMessage>) => {
        clearTimeout(limit)
        if ('opened' in data) resolve(new Own(started, data.opened))
        else reject(new LightningError(data.failed.code, data.failed.fields))
      }
      started.postMessage(message)
    })
  } catch (error) {
    worker?.terminate()
    if (policy || (error as DOMException).name === 'SecurityError') throw new LightningError('PolicyForbids', ['the worker', "worker-src 'self'"], { cause: error })
    throw error
  } finally {
    globalThis.removeEventListener?.('securitypolicyviolation', forbidden)
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
