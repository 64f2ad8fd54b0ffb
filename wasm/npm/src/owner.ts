// The worker that has the files open, and the tabs that it serves: the page that started it by messages, others by channels.

import type { Host } from './host.js'
import type { Parts } from './parts.js'
import { failure } from './failure.js'
import {
  type Announcement,
  type ClosedMessage,
  type CompiledMessage,
  type Note,
  type Opened,
  type OpenMessage,
  type PlainError,
  VERSION,
  type Welcome,
  clientLock,
  plain,
  tabsChannel,
} from './messages.js'

type Joining = Extract<Announcement, { join: string }>

/** What a dedicated worker is to its own script. */
export interface Scope {
  postMessage(message: unknown, transfer?: Transferable[]): void
  onmessage: ((event: MessageEvent) => void) | null
  close(): void
}

/** Shorter responses are copied: handing a buffer over costs more than they do. */
const COPIED_BYTES = 1024
/** A tab that nobody looks at gives the files up after so long, if somebody looks at another. */
const HANDOVER_MS = 1000

export class Owner {
  readonly #id = crypto.randomUUID?.()
  readonly #scope: Scope
  readonly #host: Host
  readonly #opened: Opened
  readonly #tabs: BroadcastChannel | undefined
  readonly #clients = new Map<string, BroadcastChannel>()
  readonly #visible = new Set<string>()
  /** Nobody is waited for any more. */
  readonly #end = new AbortController()
  #hidden: boolean
  #handover: ReturnType<typeof setTimeout> | undefined
  #leaving = false

  /** Begins to serve; the page has not heard yet that the database is open. */
  constructor(scope: Scope, { shared, hidden }: OpenMessage, host: Host, opened: Opened, parts: Parts) {
    this.#scope = scope
    this.#host = host
    this.#opened = opened
    this.#hidden = hidden
    const page = host.connect({
      send: response => scope.postMessage(response, response.length < COPIED_BYTES ? [] : [response.buffer as ArrayBuffer]),
      end: why => {
        if (!this.#leaving) scope.postMessage({ closed: plain(why) } satisfies ClosedMessage)
      },
    })
    scope.onmessage = ({ data }: MessageEvent<Uint8Array | Note | CompiledMessage>) => {
      if (data instanceof Uint8Array) return page.receive(data)
      if (typeof data === 'object') return parts.take(data.part, data.compiled)
      if (data === 'leave' || data === 'end') return void this.#leave(data === 'leave')
      this.#hidden = data === 'hidden'
      this.#reconsider()
    }
    if (!shared) return
    this.#tabs = tabsChannel(opened.name)
    this.#tabs.onmessage = ({ data }: MessageEvent<Announcement>) => {
      if ('join' in data) this.#admit(data)
    }
    this.#tabs.postMessage({ owner: this.#id } satisfies Announcement)
  }

  #admit({ join: id, hidden, version }: Joining): void {
    if (this.#leaving || this.#clients.has(id)) return
    const channel = new BroadcastChannel(clientLock(id))
    const welcome: Welcome = { opened: this.#opened, owner: this.#id, version: VERSION }
    if (version !== VERSION) {
      // It knows what to make of that.
      channel.postMessage(welcome)
      return channel.close()
    }
    this.#clients.set(id, channel)
    const client = this.#host.connect({ send: response => channel.postMessage(response), end: () => {} })
    const looks = (does: boolean) => {
      if (does) this.#visible.add(id)
      else this.#visible.delete(id)
      this.#reconsider()
    }
    channel.onmessage = ({ data }: MessageEvent<Uint8Array | Note>) => {
      if (data instanceof Uint8Array) client.receive(data)
      else if (data === 'ping') channel.postMessage('here')
      else looks(data === 'visible')
    }
    channel.postMessage(welcome)
    looks(!hidden)
    // The tab holds this lock as long as it is there.
    navigator.locks
      .request(clientLock(id), { signal: this.#end.signal }, () => {
        this.#clients.delete(id)
        channel.close()
        client.disconnect()
        looks(false)
      })
      .catch(() => {})
  }

  /** Whoever is looked at is not slowed down, or frozen: it better has the files. */
  #reconsider(): void {
    clearTimeout(this.#handover)
    if (this.#hidden && this.#visible.size > 0) this.#handover = setTimeout(() => void this.#leave(true), HANDOVER_MS)
  }

  /**
   * Answers what was asked, closes the files, and ends. In a page that goes into the back-forward cache they are not closed but
   * dropped: the browser evicts such a page when others want what it holds, and Chromium crashes when its worker writes then.
   */
  async #leave(closing: boolean): Promise<void> {
    if (this.#leaving) return
    this.#leaving = true
    clearTimeout(this.#handover)
    let why: PlainError | null = null
    try {
      await this.#host.drain()
      for (const channel of this.#clients.values()) channel.postMessage('left')
      if (closing) await this.#host.close()
    } catch (error) {
      why = plain(failure(error))
    }
    this.#end.abort()
    for (const channel of this.#clients.values()) channel.close()
    this.#tabs?.close()
    this.#scope.postMessage({ closed: why } satisfies ClosedMessage)
    // Its locks go with it.
    this.#scope.close()
  }
}
