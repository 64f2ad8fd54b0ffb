// Where something is read and written: now, in a snapshot, or in a transaction.

import { abortable } from './abort.js'
import { type Given, type Held, type Link, type Mode, current, held, release } from './link.js'
import { NOW, Operation } from './protocol.js'

/** Where something is read: now, in a snapshot, or in a transaction. */
export interface Scope {
  readonly number: number
}

export const now: Scope = { number: NOW }

/** The scope that an owner holds, as long as it does. */
export function scopeOf<M extends Mode>(link: Link<M>, held: Held): Scope {
  return {
    get number() {
      return current(link, held)
    },
  }
}

/** What a transaction is protected from, as `begin` is asked for it. */
export const ISOLATION = { readCommitted: 1, snapshot: 2, serializable: 3 } as const

/** Begins a transaction. What comes when the signal was aborted is given back. */
export function begin<M extends Mode>(link: Link<M>, isolation: number, signal?: AbortSignal): Given<M, Held> {
  const begun = () => link.ask(Operation.Begin, false, writer => writer.number(isolation), reader => held(link, reader.number()))
  return abortable(link, signal, begun, late => release(link, late))
}
