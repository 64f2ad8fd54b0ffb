// Who hears of live results.

import type { Reader } from './cbor.js'
import type { LightningError } from './errors.js'
import { readFailure } from './failure.js'
import { Status } from './protocol.js'

/** Hears the events of a live result, why there will be no more, or `again`: another owner has to be asked for it. */
export type Listener = (event: Reader | LightningError | 'again') => void

/** Those who listen, by the number of their live result. */
export class Listeners {
  readonly #all = new Map<number, Listener>()
  /** The live result of which the next frame says why it has ended. */
  #ending: number | undefined

  get size(): number {
    return this.#all.size
  }

  add(live: number, listener: Listener): void {
    this.#all.set(live, listener)
  }

  delete(live: number): void {
    this.#all.delete(live)
  }

  /** Passes on a frame, if it is of a live result; else false. */
  hear(status: number, reader: Reader): boolean {
    if (status === Status.Event) {
      const isEnd = reader.list() === 1
      const live = reader.number()
      if (isEnd) this.#ending = live
      else this.#all.get(live)?.(reader)
      return true
    }
    if (this.#ending === undefined) return false
    const listener = this.#all.get(this.#ending)
    this.#all.delete(this.#ending)
    this.#ending = undefined
    listener?.(readFailure(reader))
    return true
  }

  /** Tells all of them the same, and forgets them. */
  tellAll(what: LightningError | 'again'): void {
    const all = [...this.#all.values()]
    this.#all.clear()
    this.#ending = undefined
    for (const listener of all) listener(what)
  }
}
