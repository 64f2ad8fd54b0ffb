// The way to an owner in another tab: a channel that only the two know, and a lock that the owner gets when this tab is gone.

import type { Channel } from './link.js'
import { type Announcement, type Note, type Opened, VERSION, type Welcome, clientLock } from './messages.js'

export class Connection implements Channel {
  onresponse: (response: Uint8Array) => void = () => {}
  onwelcome: (opened: Opened) => void = () => {}
  /** The owner is of a newer version of this package, or an older one; it serves nobody else. */
  onother: (isNewer: boolean) => void = () => {}
  /** The owner has answered everything that it will. */
  onleft: () => void = () => {}
  /** Who serves it, when somebody does. */
  owner: string | undefined
  /** When the owner was last heard. */
  heardAt = performance.now()
  readonly #id = crypto.randomUUID()
  readonly #channel = new BroadcastChannel(clientLock(this.#id))
  #free: (() => void) | undefined
  #closed = false

  constructor(
    private readonly tabs: BroadcastChannel,
    private readonly isHidden: () => boolean,
  ) {
    this.#channel.onmessage = ({ data }: MessageEvent<Uint8Array | Welcome | 'left' | 'here'>) => {
      this.heardAt = performance.now()
      if (data instanceof Uint8Array) this.onresponse(data)
      else if (data === 'left') this.onleft()
      else if (data !== 'here') {
        if (data.version !== VERSION) return this.onother(data.version > VERSION)
        this.owner = data.owner
        this.onwelcome(data.opened)
      }
    }
    void navigator.locks.request(clientLock(this.#id), () => {
      if (this.#closed) return
      return new Promise<void>(resolve => {
        this.#free = resolve
        this.join()
      })
    })
  }

  /** Asks to be served. An owner waits for the lock, so it has to be held before. */
  join(): void {
    if (this.#free && !this.owner) this.tabs.postMessage({ join: this.#id, hidden: this.isHidden(), version: VERSION } satisfies Announcement)
  }

  send(request: Uint8Array<ArrayBuffer>): void {
    this.#channel.postMessage(request)
  }

  note(note: Note): void {
    this.#channel.postMessage(note)
  }

  close(): void {
    this.#closed = true
    this.#channel.close()
    this.#free?.()
  }
}
