// The page's side of a worker of its own.

import { LightningError } from './errors.js'
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

  private constructor(
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

  /** Starts it and has it open the database. */
  static start(start: () => Worker, message: OpenMessage): Promise<Own> {
    const worker = start()
    return new Promise<Own>((resolve, reject) => {
      const fail = (why: string) =>
        reject(new LightningError('WorkerFailed', [String(new URL('./worker.js', import.meta.url)), why]))
      const limit = setTimeout(() => fail(`it did not answer within ${START_MS / 1000} seconds`), START_MS)
      worker.onerror = event => fail(event.message || 'it could not be loaded, or is no script')
      worker.onmessage = ({ data }: MessageEvent<OpenedMessage>) => {
        clearTimeout(limit)
        if ('opened' in data) resolve(new Own(worker, data.opened))
        else reject(new LightningError(data.failed.code, data.failed.fields))
      }
      worker.postMessage(message)
    }).catch(error => {
      worker.terminate()
      throw error
    })
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
