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

  constructor(readonly opened: Opened) {
    this.host = new Host(opened.engine, false, opened.parts, () => opened.parts && opened.closed())
  }

  /** One more user. */
  join(): this {
    this.#users++
    return this
  }

  /** One user less; the last of them has it closed. */
  leave<R>(close: () => R): R | undefined {
    return --this.#users === 0 ? close() : undefined
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
  const client = host.connect({
    send: response => channel.onresponse(response),
    end: why => link.end(why),
  })
  return new DatabaseOf(opened.name, opened.storage, durability, link, async () => {
    // What was asked before is answered before.
    await Promise.resolve()
    await local.leave(async () => {
      try {
        await host.close()
      } finally {
        opened.closed()
      }
    })
    link.end(new LightningError('Closed'))
    client.disconnect()
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
  const client = host.connect({ send: frames => link.receive(frames), end: why => link.end(why) })
  return new DatabaseOf(opened.name, opened.storage, durability, link, () => {
    if (closed) return
    closed = true
    local.leave(() => {
      try {
        host.closeNow()
      } finally {
        opened.closed()
      }
    })
    link.end(new LightningError('Closed'))
    client.disconnect()
  })
}
