// What operations are asked of: a collection or a table, as it is now, in a snapshot or in a transaction.

import { abortable } from './abort.js'
import type { Reader, Writer } from './cbor.js'
import type { Scope } from './scope.js'
import type { Given, Link, Mode } from './link.js'
import type { OperationNumber } from './protocol.js'

export class Target<M extends Mode> {
  /** @internal */
  constructor(
    /** Its name. */
    readonly name: string,
    /** @internal */
    readonly link: Link<M>,
    /** @internal Its handle, once it is open. */
    readonly opened: () => Given<M, number> | number,
    /** @internal */
    protected readonly scope: () => Scope,
    /** @internal Whether what is written is to survive a power loss. */
    protected readonly durable: () => boolean,
  ) {}

  /** @internal Performs an operation on it, whose own arguments follow scope and handle. */
  ask<R>(
    operation: OperationNumber,
    writes: boolean,
    args: (writer: Writer) => void,
    answer: (reader: Reader) => R,
    signal?: AbortSignal,
  ): Given<M, R> {
    const ask = () => this.link.then(this.opened(), handle =>
      this.link.ask(
        operation,
        writes && this.durable(),
        writer => {
          writer.number(this.scope().number)
          writer.number(handle)
          args(writer)
        },
        answer,
      ),
    )
    return abortable(this.link, signal, ask)
  }
}
