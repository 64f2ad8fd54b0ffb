// Copies of a database, as the bytes of a file.

import { type Abortable, onAbort } from './abort.js'
import { type Given, type Held, type Link, type Mode, current, release } from './link.js'
import { Operation } from './protocol.js'

export interface BackupOptions extends Abortable {
  /** Told after each step. */
  progress?: (progress: BackupProgress) => void
}

export interface BackupProgress {
  /** Records read, and about how many there are to read: each twice, once to find a place for it and once to copy it. */
  entries: number
  entriesAll: number
  /** Bytes made, and how many there will be; undefined until everything has its place. */
  bytes: number
  bytesAll: number | undefined
}

/** A backup that the owner makes, and has begun. */
export class Backup<M extends Mode> {
  #held: Held | undefined
  #bytes = 0
  #ignore = () => {}

  constructor(
    private readonly link: Link<M>,
    begun: Held,
    private readonly options: BackupOptions,
  ) {
    this.#held = begun
  }

  /** The next bytes, perhaps none yet; null behind the last. */
  #next(): Given<M, Uint8Array<ArrayBuffer> | null> {
    return this.link.ask(
      Operation.NextBackup,
      false,
      writer => writer.number(current(this.link, this.#held!)),
      reader => {
        const [bytes, entries, entriesAll, bytesAll] = reader.value()
        this.#bytes += bytes?.length ?? 0
        this.options.progress?.({ entries, entriesAll, bytes: this.#bytes, bytesAll: bytesAll ?? undefined })
        if (!bytes) this.end()
        return bytes
      },
    )
  }

  /** Whoever reads it wants no more of it. */
  end(): void {
    this.#ignore()
    if (this.#held) release(this.link, this.#held)
    this.#held = undefined
  }

  /** As what a stream is made of: it begins. */
  start(controller: ReadableStreamDefaultController): void {
    const { signal } = this.options
    const give = () => {
      this.end()
      controller.error(signal!.reason)
    }
    if (signal?.aborted) give()
    else this.#ignore = onAbort(signal, give)
  }

  /** Gives the stream its next bytes. */
  async pull(controller: ReadableStreamDefaultController): Promise<void> {
    try {
      while (this.#held) {
        const bytes = await this.#next()
        if (!bytes) return controller.close()
        if (!this.#held) return
        if (bytes.length > 0) return controller.enqueue(bytes)
      }
    } catch (error) {
      if (!this.#held) return
      this.end()
      throw error
    }
  }

  /** As pieces, one after the other. */
  *pieces(): Iterable<Uint8Array<ArrayBuffer>> {
    try {
      for (;;) {
        this.options.signal?.throwIfAborted()
        const bytes = this.#next() as Uint8Array<ArrayBuffer> | null
        if (!bytes) return
        if (bytes.length > 0) yield bytes
      }
    } finally {
      this.end()
    }
  }
}
