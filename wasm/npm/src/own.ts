// The page's side of a worker of its own.

import { LightningError } from './errors.js'
import type { Inline } from './inline.js'
import type { Channel } from './link.js'
import type { ClosedMessage, Note, OpenMessage, Opened } from './messages.js'
import type { Plan } from './peer.js'
import { Starting } from './starting.js'

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
   * Has a worker open the database: the one that is starting, if there is one. Where neither worker nor WebAssembly come from where
   * they should be, the ones of `spare`, which are part of the script. `begun` hears of each worker before it has answered.
   */
  static async open(
    { start, other, spare, wasm, parts }: Plan,
    message: Omit<OpenMessage, 'wasm' | 'parts'>,
    first: Starting | undefined,
    begun: (starting: Starting) => void,
  ): Promise<Own> {
    const open = async (starting: Starting, parts: string[]): Promise<Own> => {
      begun(starting)
      const opened = await starting.open({ ...message, parts })
      return opened ? new Own(starting.worker!, opened) : open(new Starting(other!, (await starting.module) ?? wasm), parts)
    }
    if (!spared || !spare) {
      try {
        return await open(first ?? new Starting((message.restore && other) || start!, wasm), parts)
      } catch (error) {
        if (!spare || (error as LightningError).code !== 'WorkerFailed') throw error
        try {
          spared = await spare()
        } catch {
          throw error
        }
      }
    } else {
      // Begun before another database of this page has learnt it.
      first?.terminate()
    }
    return open(new Starting(spared.startWorker, await spared.compile()), [])
  }

  /** Begins before it is known whether this page is to open the database; undefined where that would be in vain. */
  static prepare({ start, spare, wasm }: Plan): Starting | undefined {
    // In a service worker it would be this very thread that begins.
    return start && typeof Worker !== 'undefined' && !(spared && spare) ? new Starting(start, wasm) : undefined
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
