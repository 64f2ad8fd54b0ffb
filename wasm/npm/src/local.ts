// A database in this thread: the channel between link and host is a call.

import { DatabaseOf, type OpenOptions, type StorageName } from './database.js'
import { LightningError } from './errors.js'
import { type Engine, Host } from './host.js'
import { AsyncLink, type Channel, SyncLink } from './link.js'
import { encode } from './cbor.js'
import { engineOptions } from './database.js'
import { readFailure } from './failure.js'
import { eachFrame } from './protocol.js'

/** An engine and what is to be done when it is closed. */
export interface Opened {
  engine: Engine
  name: string
  storage: StorageName
  closed(): void
}

/** Runs what opens an engine: what that throws is the frame of an error. */
export function opening<T>(open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw failure(error)
  }
}

/** What the engine threw, as an error. */
export function failure(thrown: unknown): unknown {
  if (!(thrown instanceof Uint8Array)) return thrown
  let error = new LightningError('Invalid', ['an error without a name'])
  eachFrame(thrown, (_, body) => (error = readFailure(body)))
  return error
}

/** The options of the engine as it reads them. */
export function optionBytes(options: OpenOptions): Uint8Array {
  return encode(engineOptions(options))
}

/** Its calls give promises; what is asked in one turn is done together at its end. */
export function asyncDatabase(opened: Opened, durability: 'sync' | 'relaxed', numbered = false): DatabaseOf<'async'> {
  const host = new Host(opened.engine, false)
  const channel: Channel = {
    send: request => client.receive(request),
    onresponse: () => {},
  }
  const link = new AsyncLink(channel, numbered)
  const client = host.connect({
    send: response => channel.onresponse(response),
    end: why => link.end(why),
  })
  return new DatabaseOf(opened.name, opened.storage, durability, link, async () => {
    // What was asked before is answered before.
    await Promise.resolve()
    try {
      await host.close()
    } catch (error) {
      throw failure(error)
    } finally {
      opened.closed()
    }
  })
}

/** Its calls give what they give. */
export function syncDatabase(opened: Opened, durability: 'sync' | 'relaxed'): DatabaseOf<'sync'> {
  const host = new Host(opened.engine, false)
  const link: SyncLink = new SyncLink((request, durable) => {
    const response = host.call(request, durable)
    tellSoon()
    return response
  })
  let isTelling = false
  /** Live results hear of a commit after it, not within it. */
  const tellSoon = (): void => {
    if (isTelling || !link.isListening) return
    isTelling = true
    queueMicrotask(() => {
      isTelling = false
      host.tell(frames => link.receive(frames))
    })
  }
  return new DatabaseOf(opened.name, opened.storage, durability, link, () => {
    try {
      host.closeNow()
    } catch (error) {
      throw failure(error)
    } finally {
      link.end(new LightningError('Closed'))
      opened.closed()
    }
  })
}
