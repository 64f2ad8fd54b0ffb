// Copies of a database, as the bytes of a file.

import { type Abortable, onAbort } from './abort.js'
import { type Given, type Held, type Link, type Mode, current, held, release } from './link.js'
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

/** A backup that the owner makes. */
class Backup<M extends Mode> {
  #held: Held | undefined
  #bytes = 0

  constructor(
    private readonly link: Link<M>,
    private readonly options: BackupOptions,
  ) {}

  begin(): Given<M, void> {
    return this.link.ask(Operation.Backup, false, () => {}, reader => void (this.#held = held(this.link, reader.number())))
  }

  /** The next bytes, perhaps none yet; null behind the last. */
  next(): Given<M, Uint8Array<ArrayBuffer> | null> {
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

  end(): void {
    if (this.#held) release(this.link, this.#held)
    this.#held = undefined
  }
}

/** As a stream, made as it is read. */
export function backupStream(link: Link<'async'>, options: BackupOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
  const backup = new Backup(link, options)
  const { signal } = options
  let over = false
  let ignore = () => {}
  const end = () => {
    over = true
    ignore()
    backup.end()
  }
  return new ReadableStream({
    async start(controller) {
      signal?.throwIfAborted()
      ignore = onAbort(signal, () => {
        end()
        controller.error(signal!.reason)
      })
      try {
        await backup.begin()
      } catch (error) {
        if (!over) end()
        throw error
      }
      if (over) backup.end()
    },
    async pull(controller) {
      try {
        while (!over) {
          const bytes = await backup.next()
          if (over) return
          if (!bytes) {
            end()
            return controller.close()
          }
          if (bytes.length > 0) return controller.enqueue(bytes)
        }
      } catch (error) {
        if (over) return
        end()
        throw error
      }
    },
    cancel: end,
  })
}

/** As pieces, one after the other. */
export function backupPieces(link: Link<'sync'>, options: BackupOptions): Iterable<Uint8Array<ArrayBuffer>> {
  const backup = new Backup(link, options)
  options.signal?.throwIfAborted()
  backup.begin()
  return (function* () {
    try {
      for (;;) {
        options.signal?.throwIfAborted()
        const bytes = backup.next()
        if (!bytes) return
        if (bytes.length > 0) yield bytes
      }
    } finally {
      backup.end()
    }
  })()
}
