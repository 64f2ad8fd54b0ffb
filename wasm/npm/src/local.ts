// A database in this thread: the channel between link and host is a call.

import { DatabaseOf, type OpenOptions, type StorageName } from './database.js'
import { LightningError } from './errors.js'
import { type Engine, Host } from './host.js'
import { AsyncLink, type Channel, SyncLink } from './link.js'
import * as more from './more.js'
import type { Parts } from './parts.js'
import { encode } from './cbor.js'
import { engineOptions } from './database.js'

/** An engine and what is to be done when it is closed. */
export interface Opened {
  engine: Engine
  name: string
  storage: StorageName
  closed(): void
  /** Where the engine comes in parts. */
  parts?: Parts | undefined
}

/** The options of the engine as it reads them. */
export function optionBytes(options: OpenOptions): Uint8Array {
  return encode(engineOptions(options))
}

/** An engine in this thread, and who uses it. */
export class Local {
  readonly host: Host
  #users = 0
  #closed = false

  constructor(readonly opened: Opened) {
    this.host = new Host(opened.engine, false, opened.parts, () => opened.parts && opened.closed())
  }

  /** One more user. */
  join(): this {
    this.#users++
    return this
  }

  /** One user less; with the last it is closed, in this turn: whoever opens it in the next opens it anew. */
  leave(): void {
    if (--this.#users === 0) this.close()
  }

  /** Closes it. Where the engine has stopped by itself its files are given up: nothing is written to them any more. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    try {
      this.host.closeNow()
    } finally {
      this.opened.closed()
    }
  }
}

/** Turns of promises alone may take so long, in milliseconds. */
const TURN_MS = 10

/**
 * Answers are there when the turn of promises that asked for them ends, so a loop that awaits one after the other would leave none to
 * timers, sockets and the merges of the engine. Every ten milliseconds they come in the next turn of the event loop.
 */
class Turns {
  #began: number | undefined
  #later: (() => void)[] = []

  answer(answer: () => void): void {
    const now = performance.now()
    if (this.#began === undefined) {
      this.#began = now
      const { setImmediate = setTimeout } = globalThis as { setImmediate?: (next: () => void) => void }
      setImmediate(() => {
        this.#began = undefined
        this.end()
      })
    }
    if (now - this.#began < TURN_MS) answer()
    else this.#later.push(answer)
  }

  /** Gives the answers that wait for the next turn. */
  end(): void {
    for (const answer of this.#later.splice(0)) answer()
  }
}

/** Its calls give promises; what is asked in one turn is done together at its end. */
export function asyncDatabase(local: Local, durability: 'sync' | 'relaxed', numbered = false): DatabaseOf<'async'> {
  const { host, opened } = local.join()
  const channel: Channel = {
    send: request => client.receive(request),
    onresponse: () => {},
  }
  const link = new AsyncLink(() => more, channel, numbered)
  const turns = new Turns()
  const client = host.connect({
    send: response => turns.answer(() => channel.onresponse(response)),
    end: why => {
      turns.end()
      link.end(why)
      local.close()
    },
  })
  return new DatabaseOf(opened.name, opened.storage, durability, link, async () => {
    // What was asked before is answered before.
    await Promise.resolve()
    turns.end()
    try {
      local.leave()
    } finally {
      link.end(new LightningError('Closed'))
      client.disconnect()
    }
  })
}

/** Its calls give what they give. */
export function syncDatabase(local: Local, durability: 'sync' | 'relaxed'): DatabaseOf<'sync'> {
  const { host, opened } = local.join()
  let closed = false
  const link: SyncLink = new SyncLink(() => more, (request, durable) => {
    if (closed) throw new LightningError('Closed')
    const response = client.call(request, durable)
    // Live results hear of a commit after it, not within it.
    if (link.isListening || host.isShared) host.tellSoon()
    return response
  })
  const client = host.connect({
    send: frames => link.receive(frames),
    end: why => {
      link.end(why)
      local.close()
    },
  })
  return new DatabaseOf(opened.name, opened.storage, durability, link, () => {
    if (closed) return
    closed = true
    try {
      local.leave()
    } finally {
      link.end(new LightningError('Closed'))
      client.disconnect()
    }
  })
}
