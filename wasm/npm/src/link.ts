// The way from the nouns of this package to the engine. Asynchronously, what is asked in one turn goes as one request; the
// answers come in its order. Synchronously, each operation is answered at once.

import { Reader, Writer } from './cbor.js'
import { UnreadBlob, keepBytes, readAll, readAllNow, withBytes } from './blobs.js'
import { LightningError } from './errors.js'
import { commits, fate } from './failover.js'
import { readFailure, withUsage } from './failure.js'
import { type Listener, Listeners } from './listeners.js'
import type { More } from './more.js'
import { DURABLE, Operation, type OperationNumber, RELAXED, Status, eachFrame } from './protocol.js'
import { Queue } from './queue.js'

export type Mode = 'async' | 'sync'
/** What a method gives: a promise of it, or it. */
export type Given<M extends Mode, T> = M extends 'async' ? Promise<T> : T

/** Writes the arguments of an operation. */
export type Arguments = (writer: Writer) => void
/** Reads what an operation gives. */
export type Answer<T> = (reader: Reader) => T
/** What an owner holds for this client: a transaction, a cursor. It is gone with that owner. */
export interface Held {
  readonly number: number
  /** The link's, when it was given. */
  readonly generation: number
}

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
  /** What is beyond opening, reading and writing; a page fetches it when it is first asked for. */
  more(forCollection?: boolean): Given<M, More> | More
  readonly mode: M
  /** Counts owners. */
  readonly generation: number
  /** The numbers under which collections and tables are open; owners open them under the same. */
  readonly numbers: Map<string, number>
}

/** Sends requests and takes responses: to a worker, to another tab, or to an engine in this thread. */
export interface Channel {
  /** What is sent stays as it is: it may have to be sent again, to another. */
  send(request: Uint8Array<ArrayBuffer>): void
  /** Called with each response, in the order of the requests; events come between. */
  onresponse: (response: Uint8Array) => void
}

/** The number under which what has this name is opened. */
export function numberOf<M extends Mode>(link: Link<M>, name: string): number {
  let number = link.numbers.get(name)
  if (number === undefined) link.numbers.set(name, (number = link.numbers.size + 1))
  return number
}

/** What the owner holds under this number from now on. */
export function held<M extends Mode>(link: Link<M>, number: number): Held {
  return { number, generation: link.generation }
}

/** Its number, where the owner has it still. */
export function current<M extends Mode>(link: Link<M>, { number, generation }: Held): number {
  if (generation !== link.generation) throw ownerGone()
  return number
}

/** Gives back what an owner holds; nobody waits for it. */
export function release<M extends Mode>(link: Link<M>, { number, generation }: Held): void {
  if (generation !== link.generation) return
  try {
    const released = link.ask(Operation.Release, false, writer => writer.number(number), () => undefined)
    if (released instanceof Promise) released.catch(() => {})
  } catch {
    // The database is closed, and the handle with it.
  }
}

function ownerGone(): LightningError {
  return new LightningError('Restarted', ['the tab or worker that had the files open is gone'])
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: unknown): void
  answer: Answer<unknown>
  /** What opens a collection or table, or shows a key. */
  opens?: Uint8Array
  /** 0 where it has none. */
  number: number
  /** Whether it has one and commits by itself. */
  commits: boolean
  /** It is only asked what came of it. */
  isOutcome?: boolean
}

/** A request that is not answered. */
interface Request {
  bytes: Uint8Array<ArrayBuffer>
  /** How many operations it has; they are answered together. */
  operations: number
  isSent: boolean
  /** When an owner may have begun it first, in milliseconds since 1970; 0 when none has. */
  begunAt: number
  /** Owners that went away with it. */
  losses: number
}

/** A request that nobody was asked yet. */
const NEW = { isSent: false, begunAt: 0, losses: 0 }
/** Nobody waits for it. */
const NOBODY: Waiting = { resolve: () => {}, reject: () => {}, answer: () => undefined, number: 0, commits: false }
/** The operation that does nothing, and is answered. */
const NOTHING = Uint8Array.of(2, 0, 0, 0, Operation.Release, 0)
/** The operation that gives what the one in its place gave to an owner before. */
const OUTCOME = Uint8Array.of(1, 0, 0, 0, Operation.Outcome)
/** A request that so many owners went away with is not asked again: perhaps they did because of it. */
const LOSSES_MAX = 2
/** Owners remember what was committed for longer than this. */
const REMEMBERED_MS = 10 * 60_000

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

export class AsyncLink implements Link<'async'> {
  readonly mode = 'async'
  readonly numbers = new Map<string, number>()
  generation = 0
  #channel: Channel | undefined
  readonly #writer = new Writer()
  #operations = 0
  #durable = false
  #requests = new Queue<Request>()
  #waiting = new Queue<Waiting>()
  /** What opens what is open, by its number. */
  readonly #opened = new Map<number, Uint8Array>()
  readonly #listeners = new Listeners()
  #ended: LightningError | undefined
  /** Its id among the clients of all owners, where what commits is numbered. */
  readonly #client: Uint8Array | undefined
  /** The last number given. */
  #number = 0
  /** Everything up to this number is answered. */
  #heard = 0
  /** What is being written has numbers from here on. */
  #isNumbered = false

  /** @param numbered what was begun by one owner is asked of the next, and so has numbers */
  constructor(
    readonly more: (forCollection?: boolean) => Promise<More> | More,
    channel?: Channel,
    numbered = false,
  ) {
    if (numbered) this.#client = crypto.getRandomValues(new Uint8Array(8))
    if (channel) this.resume(channel)
  }

  ask<T>(operation: OperationNumber, durable: boolean, args: Arguments, answer: Answer<T>): Promise<T> {
    if (this.#ended) return Promise.reject(this.#ended)
    if (this.#writer.length === 0) {
      this.#writer.byte(RELAXED)
      queueMicrotask(() => this.#send())
    }
    if (this.#client && !this.#isNumbered && commits(operation, 0)) this.#beginNumbers(this.#client)
    const begin = this.#writer.length
    try {
      writeOperation(this.#writer, operation, args)
    } catch (error) {
      return error instanceof UnreadBlob ? this.#askReading(operation, durable, args, answer) : Promise.reject(error)
    }
    this.#durable ||= durable
    this.#operations++
    const number = this.#isNumbered ? ++this.#number : 0
    const opens = operation === Operation.OpenCollection || operation === Operation.OpenTable || operation === Operation.Unlock
    return new Promise<T>((resolve, reject) => {
      const isCommit = number > 0 && commits(operation, this.#writer.view()[begin + 5] ?? 0)
      const waiting: Waiting = { resolve: resolve as (value: unknown) => void, reject, answer, number, commits: isCommit }
      if (opens) waiting.opens = this.#writer.view().slice(begin)
      this.#waiting.push(waiting)
    })
  }

  /** Asks when all blobs among the arguments are read. */
  async #askReading<T>(operation: OperationNumber, durable: boolean, args: Arguments, answer: Answer<T>): Promise<T> {
    const bytes = await readAll(() => writeOperation(new Writer(), operation, args))
    return withBytes(bytes, () => this.ask(operation, durable, args, answer))
  }

  /** Waits until everything that was asked has been answered, and survives a power loss. */
  async settled(): Promise<void> {
    if (this.isWaiting) await this.ask(Operation.Sync, true, () => {}, () => undefined)
  }

  /** Something was asked that is not answered. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0
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
    this.#listeners.add(live, listener)
  }

  forget(live: number): void {
    this.#listeners.delete(live)
  }

  /** From here on everything fails with `why`, and what waits does, too. */
  end(why: LightningError): void {
    if (this.#ended) return
    this.#ended = why
    this.#channel = undefined
    this.refuse(why)
    this.#listeners.tellAll(why)
  }

  /** What waits fails with `why`. */
  refuse(why: LightningError): void {
    this.#writer.truncate(0)
    this.#operations = 0
    this.#isNumbered = false
    const waiting = this.#waiting.clear()
    for (const { operations, begunAt } of this.#requests.clear()) {
      for (const each of waiting.splice(0, operations)) {
        // Whoever remembers it may still come.
        each.reject(begunAt && each.commits ? new LightningError('CommitUnknown') : why)
      }
    }
    for (const each of waiting) each.reject(why)
  }

  /**
   * No answers come any more. What waits stays for the next owner where that is the same as asking once; the rest fails.
   * @param untouched what was not answered was not begun
   * @param stopped the engine did, perhaps because of what it was doing
   */
  lost(untouched: boolean, stopped = false): void {
    if (!this.#channel) return
    this.#send(false)
    this.#channel = undefined
    this.generation++
    const waiting = this.#waiting.clear()
    let losses = stopped ? LOSSES_MAX : 1
    for (const request of this.#requests.clear()) {
      const more = untouched || !request.isSent ? 0 : losses
      this.#requests.push(this.#remaining(request, waiting.splice(0, request.operations), more))
      // Those behind the first were not begun by an engine that stopped, or it has done them.
      losses = 1
    }
  }

  /** Goes on with this channel: opens what is open, asks what waits, and begins live results again. */
  resume(channel: Channel): void {
    if (this.#ended) return
    this.#channel = channel
    channel.onresponse = response => this.#receive(response)
    const waiting = this.#waiting.clear()
    const requests = this.#requests.clear()
    if (this.#opened.size > 0) {
      const operations = [...this.#opened.values()]
      requests.unshift({ bytes: joined([Uint8Array.of(RELAXED), ...operations]), operations: operations.length, ...NEW })
      waiting.unshift(...operations.map(() => NOBODY))
    }
    for (const request of requests) {
      const its = waiting.splice(0, request.operations)
      if (!request.begunAt) for (const each of its) this.#waiting.push(each)
      // Nobody may have been there for long.
      this.#transmit(request.begunAt ? this.#remaining(request, its, 0) : request)
    }
    for (const each of waiting) this.#waiting.push(each)
    this.#listeners.tellAll('again')
  }

  #send(now = true): void {
    if (this.#writer.length === 0) return
    const bytes = this.#writer.take()
    const [operations, durable] = [this.#operations, this.#durable]
    this.#operations = 0
    this.#durable = false
    this.#isNumbered = false
    if (operations === 0) return
    bytes[0] = durable ? DURABLE : RELAXED
    const request = { bytes, operations, ...NEW }
    if (now) this.#transmit(request)
    else this.#requests.push(request)
  }

  /** What is written from here on has numbers. */
  #beginNumbers(client: Uint8Array): void {
    this.#isNumbered = true
    this.#operations++
    this.#waiting.push(NOBODY)
    writeOperation(this.#writer, Operation.Number, writer => {
      writer.value(client)
      writer.number(this.#number + 1)
      writer.number(this.#heard)
    })
  }

  #transmit(request: Request): void {
    this.#requests.push(request)
    if (!this.#channel) return
    request.isSent = true
    request.begunAt ||= Date.now()
    this.#channel.send(request.bytes)
  }

  /** What of a request is asked of the next owner. Operations are left out by others that do nothing. */
  #remaining({ bytes, operations, begunAt, losses: before }: Request, waiting: Waiting[], more: number): Request {
    const losses = before + more
    const parts = [bytes.subarray(0, 1)]
    let at = 1
    const isRemembered = this.#client && Date.now() - begunAt < REMEMBERED_MS
    const write = losses === 0 ? undefined : !isRemembered ? 'unknown' : losses < LOSSES_MAX ? 'again' : 'outcome'
    for (const each of waiting) {
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true) + 4
      const what = fate(bytes[at + 4]!, bytes[at + 5] ?? 0, write)
      parts.push(what === 'again' ? bytes.subarray(at, at + length) : what === 'outcome' ? OUTCOME : NOTHING)
      at += length
      if (what === 'outcome') each.isOutcome = true
      this.#waiting.push(what === 'again' || what === 'outcome' ? each : NOBODY)
      if (what === 'unknown') each.reject(new LightningError('CommitUnknown'))
      else if (what === 'over') each.reject(ownerGone())
      else if (what === 'forget') each.resolve(undefined)
    }
    return { bytes: joined(parts), operations, isSent: false, begunAt: losses && begunAt, losses }
  }

  #receive(response: Uint8Array): void {
    eachFrame(response, (status, body) => {
      if (!this.#listeners.hear(status, body)) this.#settle(status, body)
    })
  }

  #settle(status: number, body: Reader): void {
    const waiting = this.#waiting.shift()
    if (!waiting) return
    const request = this.#requests.first!
    if (--request.operations === 0) this.#requests.shift()
    if (waiting.number) this.#heard = waiting.number
    if (status === Status.Failure) {
      const why = readFailure(body)
      if (why.code === 'StorageFull') return void withUsage(why).then(waiting.reject)
      // That it was not done.
      return waiting.reject(waiting.isOutcome && why.code === 'Invalid' ? ownerGone() : why)
    }
    if (waiting.opens) this.#opened.set(new Reader(waiting.opens.subarray(5)).number(), waiting.opens)
    try {
      waiting.resolve(waiting.answer(body))
    } catch (error) {
      waiting.reject(error)
    }
  }
}

/** All of them, one after the other. */
export function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** An engine in this thread, asked one operation at a time. */
export class SyncLink implements Link<'sync'> {
  readonly mode = 'sync'
  readonly generation = 0
  readonly numbers = new Map<string, number>()
  readonly #call: (request: Uint8Array, durable: boolean) => Uint8Array
  readonly #writer = new Writer()
  readonly #listeners = new Listeners()

  /** @param call answers a request without its first byte */
  constructor(
    readonly more: () => More,
    call: (request: Uint8Array, durable: boolean) => Uint8Array,
  ) {
    this.#call = call
    keepBytes()
  }

  ask<T>(operation: OperationNumber, durable: boolean, args: Arguments, answer: Answer<T>): T {
    let response: Uint8Array
    try {
      this.#write(operation, args)
      response = this.#call(this.#writer.view(), durable)
    } finally {
      this.#writer.truncate(0)
    }
    const status = response[4]
    const body = new Reader(response, 5)
    if (status === Status.Failure) throw readFailure(body)
    return answer(body)
  }

  #write(operation: OperationNumber, args: Arguments): void {
    try {
      writeOperation(this.#writer, operation, args)
    } catch (error) {
      if (!(error instanceof UnreadBlob)) throw error
      const bytes = readAllNow(() => writeOperation(new Writer(), operation, args))
      withBytes(bytes, () => writeOperation(this.#writer, operation, args))
    }
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
    this.#listeners.add(live, listener)
  }

  forget(live: number): void {
    this.#listeners.delete(live)
  }

  /** Live results hear that there will be no more. */
  end(why: LightningError): void {
    this.#listeners.tellAll(why)
  }

  /** Whether anyone hears of live results. */
  get isListening(): boolean {
    return this.#listeners.size > 0
  }

  /** Frames of events, from the engine. */
  receive(events: Uint8Array): void {
    eachFrame(events, (status, body) => this.#listeners.hear(status, body))
  }
}
