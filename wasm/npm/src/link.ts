// The way from the nouns of this package to the engine. Asynchronously, what is asked in one turn goes as one request; the
// answers come in its order. Synchronously, each operation is answered at once.

import { Reader, Writer } from './cbor.js'
import { LightningError, received } from './errors.js'
import { DURABLE, type OperationNumber, RELAXED, Status, frames } from './protocol.js'

export type Mode = 'async' | 'sync'
/** What a method gives: a promise of it, or it. */
export type Given<M extends Mode, T> = M extends 'async' ? Promise<T> : T

/** Writes the arguments of an operation. */
export type Arguments = (writer: Writer) => void
/** Reads what an operation gives. */
export type Answer<T> = (reader: Reader) => T
/** Hears the events of a live result, or why there will be no more. */
export type Listener = (event: Reader | LightningError) => void

export interface Link<M extends Mode> {
  /** Performs one operation. `durable` says whether what it commits is to survive a power loss. */
  ask<T>(operation: OperationNumber, durable: boolean, args: Arguments, answer: Answer<T>): Given<M, T>
  /** Goes on with what was given. */
  then<T, R>(given: Given<M, T> | T, next: (value: T) => Given<M, R> | R): Given<M, R>
  /** Does something at last, whether what was given comes or fails. */
  finally<T>(given: () => Given<M, T>, last: (failed: boolean) => void): Given<M, T>
  /** What has come, as it is given. */
  given<T>(value: T): Given<M, T>
  /** Runs what may throw at once, so that it fails as everything else does. */
  attempt<T>(run: () => Given<M, T>): Given<M, T>
  /** Calls `listener` with the events of a live result until it is called with an error or is forgotten. */
  listen(live: number, listener: Listener): void
  forget(live: number): void
  readonly mode: M
}

/** Sends requests and takes responses: to a worker, to another tab, or to an engine in this thread. */
export interface Channel {
  send(request: Uint8Array<ArrayBuffer>): void
  /** Called with each response, in the order of the requests; events come between. */
  onresponse: (response: Uint8Array) => void
  /** Called when no response will come any more. */
  onend: (why: LightningError) => void
  close(): void
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: unknown): void
  answer: Answer<unknown>
}

export function writeOperation(writer: Writer, operation: number, args: Arguments): void {
  const begin = writer.length
  writer.raw(FRAME_HEAD)
  writer.patch(begin, 0)
  writer.byte(operation)
  try {
    args(writer)
  } catch (error) {
    writer.truncate(begin)
    throw error
  }
  writer.patch(begin, writer.length - begin - 4)
}

const FRAME_HEAD = new Uint8Array(4)

export function readFailure(body: Uint8Array): LightningError {
  return received(new Reader(body).value())
}

export class AsyncLink implements Link<'async'> {
  readonly mode = 'async'
  readonly #channel: Channel
  readonly #writer = new Writer()
  readonly #waiting: Waiting[] = []
  #next = 0
  readonly #listeners = new Map<number, Listener>()
  #begun = false
  #durable = false
  #ended: LightningError | undefined

  constructor(channel: Channel) {
    this.#channel = channel
    channel.onresponse = response => this.#receive(response)
    channel.onend = why => this.end(why)
  }

  ask<T>(operation: OperationNumber, durable: boolean, args: Arguments, answer: Answer<T>): Promise<T> {
    if (this.#ended) return Promise.reject(this.#ended)
    if (!this.#begun) {
      this.#begun = true
      this.#writer.byte(RELAXED)
      queueMicrotask(() => this.#send())
    }
    try {
      writeOperation(this.#writer, operation, args)
    } catch (error) {
      return Promise.reject(error)
    }
    this.#durable ||= durable
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ resolve: resolve as (value: unknown) => void, reject, answer })
    })
  }

  then<T, R>(given: Promise<T> | T, next: (value: T) => Promise<R> | R): Promise<R> {
    if (given instanceof Promise) return given.then(next)
    // What is known already is gone on with in this turn.
    try {
      const result = next(given)
      return result instanceof Promise ? result : Promise.resolve(result)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async finally<T>(given: () => Promise<T>, last: (failed: boolean) => void): Promise<T> {
    let failed = true
    try {
      const value = await given()
      failed = false
      return value
    } finally {
      last(failed)
    }
  }

  given<T>(value: T): Promise<T> {
    return Promise.resolve(value)
  }

  async attempt<T>(run: () => Promise<T>): Promise<T> {
    return run()
  }

  listen(live: number, listener: Listener): void {
    this.#listeners.set(live, listener)
  }

  forget(live: number): void {
    this.#listeners.delete(live)
  }

  /** From here on everything fails with `why`, and what waits does, too. */
  end(why: LightningError): void {
    if (this.#ended) return
    this.#ended = why
    for (const waiting of this.#waiting.splice(0).slice(this.#next)) waiting.reject(why)
    this.#next = 0
    for (const listener of this.#listeners.values()) listener(why)
    this.#listeners.clear()
    this.#channel.close()
  }

  #send(): void {
    this.#begun = false
    if (this.#ended) return
    const request = this.#writer.take()
    const durable = this.#durable
    this.#durable = false
    if (request.length === 1) return
    request[0] = durable ? DURABLE : RELAXED
    this.#channel.send(request)
  }

  #receive(response: Uint8Array): void {
    let endedLive: number | undefined
    for (const { status, body } of frames(response)) {
      if (status === Status.Event) {
        const reader = new Reader(body)
        const isEnd = reader.list() === 1
        const live = reader.number()
        if (isEnd) endedLive = live
        else this.#listeners.get(live)?.(reader)
      } else if (endedLive !== undefined) {
        const listener = this.#listeners.get(endedLive)
        this.#listeners.delete(endedLive)
        endedLive = undefined
        listener?.(readFailure(body))
      } else {
        this.#settle(status, body)
      }
    }
  }

  #settle(status: number, body: Uint8Array): void {
    const waiting = this.#waiting[this.#next]
    if (!waiting) return
    this.#next++
    // Cut now and then: taking away the first of many moves all others.
    if (this.#next >= 1024 || this.#next === this.#waiting.length) {
      this.#waiting.splice(0, this.#next)
      this.#next = 0
    }
    if (status === Status.Failure) return waiting.reject(readFailure(body))
    try {
      waiting.resolve(waiting.answer(new Reader(body)))
    } catch (error) {
      waiting.reject(error)
    }
  }
}

/** An engine in this thread, asked one operation at a time. */
export class SyncLink implements Link<'sync'> {
  readonly mode = 'sync'
  readonly #call: (request: Uint8Array, durable: boolean) => Uint8Array
  readonly #writer = new Writer()
  readonly #listeners = new Map<number, Listener>()

  /** @param call answers a request without its first byte */
  constructor(call: (request: Uint8Array, durable: boolean) => Uint8Array) {
    this.#call = call
  }

  ask<T>(operation: OperationNumber, durable: boolean, args: Arguments, answer: Answer<T>): T {
    writeOperation(this.#writer, operation, args)
    const response = this.#call(this.#writer.view(), durable)
    this.#writer.truncate(0)
    const status = response[4]
    const body = response.subarray(5)
    if (status === Status.Failure) throw readFailure(body)
    return answer(new Reader(body))
  }

  then<T, R>(given: T, next: (value: T) => R): R {
    return next(given)
  }

  finally<T>(given: () => T, last: (failed: boolean) => void): T {
    let failed = true
    try {
      const value = given()
      failed = false
      return value
    } finally {
      last(failed)
    }
  }

  given<T>(value: T): T {
    return value
  }

  attempt<T>(run: () => T): T {
    return run()
  }

  listen(live: number, listener: Listener): void {
    this.#listeners.set(live, listener)
  }

  forget(live: number): void {
    this.#listeners.delete(live)
  }

  /** Live results hear that there will be no more. */
  end(why: LightningError): void {
    for (const listener of this.#listeners.values()) listener(why)
    this.#listeners.clear()
  }

  /** Whether anyone hears of live results. */
  get isListening(): boolean {
    return this.#listeners.size > 0
  }

  /** Frames of events, from the engine. */
  receive(events: Uint8Array): void {
    let ended: number | undefined
    for (const { status, body } of frames(events)) {
      if (status === Status.Event) {
        const reader = new Reader(body)
        const isEnd = reader.list() === 1
        const live = reader.number()
        if (isEnd) ended = live
        else this.#listeners.get(live)?.(reader)
      } else if (ended !== undefined) {
        const listener = this.#listeners.get(ended)
        this.#listeners.delete(ended)
        ended = undefined
        listener?.(readFailure(body))
      }
    }
  }
}
