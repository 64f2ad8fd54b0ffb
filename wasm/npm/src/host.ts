// The owner of an engine: it answers the requests of clients in their order, tells them of live results, and does
// background work while nobody asks.

import { Reader, Writer } from './cbor.js'
import { LightningError } from './errors.js'
import { failure, readFailure } from './failure.js'
import { joined, writeOperation } from './link.js'
import { DOCUMENTS, MERGING, type Parts, refusal } from './parts.js'
import { DURABLE, Operation, Status } from './protocol.js'

/** What `lightning-db-wasm` exports. Where storage answers later, what is called must end before the next is called. */
export interface Engine {
  call(client: number, request: Uint8Array, durable: boolean): Uint8Array
  callLater(client: number, request: Uint8Array, durable: boolean): Promise<Uint8Array>
  step(): boolean
  stepLater(): Promise<boolean>
  /** Whether anyone follows a live result; who does not need to ask for events. */
  hasLive(): boolean
  events(tell: (client: number, frames: Uint8Array) => void): void
  eventsLater(tell: (client: number, frames: Uint8Array) => void): Promise<void>
  wakeAtMs(): number | undefined
  disconnect(client: number): void
  /** From now on clients other than the first are to show a key of the database; where it has ciphers. */
  requireKeys?(): void
  close(): void
  closeLater(): Promise<void>
  free(): void
}

/** Gets responses. */
export interface Client {
  send(response: Uint8Array): void
  /** No response will come any more. */
  end(why: LightningError): void
}

/** What a client asks by. */
export interface Connected {
  receive(request: Uint8Array): void
  /** Answers a request without its first byte at once; for storages that do. */
  call(request: Uint8Array, durable: boolean): Uint8Array
  disconnect(): void
}

/** Background work is done for so long at a time. */
const SLICE_MS = 4
/** It begins when nobody has asked for so long, so that it is in nobody's way, */
const IDLE_MS = 2
/** but is not put off longer than this. */
const PUT_OFF_MS_MAX = 50
/** Less than this needs no merging before the database is closed. */
const UNMERGED_BYTES_MAX = 64 << 10
/** Documents that are gone are removed so often. */
const EXPIRY_MS = 10_000
/** What merges, and closing needs, is fetched so long after opening, when pages have most of what they begin with. */
const FETCH_MS = 1000
/** Closing does without it when it has not come by then. */
const CLOSE_MS = 2000
/** The longest that `setTimeout` waits. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** The client number of the host itself. */
const OWN = 0

export class Host {
  readonly #engine: Engine
  /** The storage answers later: one task after the other. */
  readonly #later: boolean
  readonly #parts: Parts | undefined
  /** A part of the engine is being fetched: what is asked waits behind what needs it. */
  #bringing: Promise<void> | undefined
  readonly #clients = new Map<number, Client>()
  #lastClient = OWN
  #tasks: Promise<void> = Promise.resolve()
  #waiting = 0
  #receivedBytes = 0
  #stepping: ReturnType<typeof setTimeout> | undefined
  /** Since the timer for background work was set. */
  #wasAsked = false
  #stepBy = 0
  #draining = false
  #telling = false
  #ended: LightningError | undefined
  #wake: ReturnType<typeof setTimeout> | undefined
  readonly #fetch: ReturnType<typeof setTimeout> | undefined
  /** Gives the files back where the engine cannot any more. */
  readonly #stoppedWith: () => void
  readonly #expiry: ReturnType<typeof setInterval>

  constructor(engine: Engine, later: boolean, parts?: Parts, stopped = () => {}) {
    this.#parts = parts
    this.#stoppedWith = stopped
    if (parts) this.#fetch = setTimeout(() => parts.bring(MERGING).catch(() => {}), FETCH_MS)
    this.#engine = engine
    this.#later = later
    this.#expiry = setInterval(() => this.#removeExpired(), EXPIRY_MS)
    unref(this.#expiry)
    // Whoever opens a database asks something first.
    this.#stepBy = performance.now() + PUT_OFF_MS_MAX
    this.#stepIn(PUT_OFF_MS_MAX)
    unref(this.#stepping)
  }

  /** A new client; gives what takes its requests. */
  connect(client: Client): Connected {
    const number = ++this.#lastClient
    this.#clients.set(number, client)
    return {
      receive: request => {
        if (this.#ended) return client.end(this.#ended)
        if (this.#draining) return
        this.#receivedBytes += request.length
        const needed = this.#parts?.needed(request)
        if (needed || this.#bringing) this.#receiveWith(needed, number, request)
        else this.#receive(number, request)
      },
      call: (request, durable) => this.#call(number, request, durable),
      disconnect: () => {
        this.#clients.delete(number)
        const forget = () => this.#ended ?? this.#guard(() => this.#engine.disconnect(number))
        if (!FILES_ALONE && this.#later) this.#enqueue(async () => void forget())
        else forget()
      },
    }
  }

  #receive(number: number, request: Uint8Array): void {
    if (this.#ended) return this.#clients.get(number)?.end(this.#ended)
    if (!FILES_ALONE && this.#later) {
      this.#enqueue(async () => {
        const response = await this.#engine.callLater(number, request.subarray(1), request[0] === DURABLE)
        this.#clients.get(number)?.send(response)
        if (this.#engine.hasLive()) await this.#engine.eventsLater((client, frames) => this.#clients.get(client)?.send(frames))
        this.#afterwards()
      })
    }
    else this.#answer(number, request)
  }

  /** Receives a request when the parts that it needs are there, and behind those that wait. */
  #receiveWith(needed: Promise<unknown> | undefined, number: number, request: Uint8Array): void {
    // Both are begun; a failure is for this request alone.
    const brought = Promise.resolve(needed).then(
      () => undefined,
      (error: LightningError) => error,
    )
    const bringing: Promise<void> = Promise.resolve(this.#bringing).then(async () => {
      const why = await brought
      if (this.#bringing === bringing) this.#bringing = undefined
      if (why) this.#clients.get(number)?.send(refusal(request, why))
      else this.#receive(number, request)
    })
    this.#bringing = bringing
  }

  #call(number: number, request: Uint8Array, durable: boolean): Uint8Array {
    if (this.#ended) throw this.#ended
    this.#parts?.bringNeeded(request)
    const response = this.#guard(() => this.#engine.call(number, request, durable))
    this.#stepSoon()
    return response
  }

  /** There is more than one client. */
  get isShared(): boolean {
    return this.#clients.size > 1
  }

  /** Tells whoever listens of what was done, after this turn. */
  tellSoon(): void {
    if (this.#telling) return
    this.#telling = true
    queueMicrotask(() => {
      this.#telling = false
      this.#tellAll()
    })
  }

  /** Answers what was asked; what comes from now on is not begun. */
  async drain(): Promise<void> {
    this.#draining = true
    await this.#bringing
    await this.#tasks
  }

  /** Answers what was asked, makes everything durable, and closes. */
  async close(): Promise<void> {
    if (this.#ended) return
    if (FILES_ALONE || !this.#later) {
      if (!this.#mayMerge()) {
        const late = new Promise(resolve => setTimeout(resolve, CLOSE_MS))
        await Promise.race([this.#parts!.bring(MERGING).catch(() => {}), late])
      }
      return this.#closeNow()
    }
    const closed = this.#enqueue(() => this.#engine.closeLater())
    this.#end(new LightningError('Closed'))
    try {
      await closed
    } catch (error) {
      throw failure(error)
    } finally {
      this.#engine.free()
    }
  }

  /** As `close`, for storages that answer at once. */
  closeNow(): void {
    try {
      if (!this.#ended) this.#parts?.bringNow(MERGING)
    } catch {
      // It is closed without.
    }
    this.#closeNow()
  }

  #closeNow(): void {
    if (this.#ended) return
    const engine = this.#engine
    this.#end(new LightningError('Closed'))
    let isStopped = true
    try {
      if (this.#mayMerge()) engine.close()
      // The log has all of it, for whoever opens the database next.
      else return required(engine.call(OWN, request(Operation.Sync), true))
      isStopped = false
    } catch (error) {
      isStopped = !(error instanceof Uint8Array)
      throw failure(error)
    } finally {
      // Dropping the engine gives the files back; it merges, too.
      if (isStopped) this.#stoppedWith()
      else engine.free()
    }
  }

  #mayMerge(): boolean {
    return !this.#parts || this.#parts.has(MERGING)
  }

  /** Nothing is answered any more; clients hear why. */
  #end(why: LightningError): void {
    this.#ended = why
    clearInterval(this.#expiry)
    clearTimeout(this.#fetch)
    clearTimeout(this.#wake)
    for (const client of this.#clients.values()) client.end(why)
    this.#clients.clear()
  }

  /** Runs the engine. What it throws that is no error of its own has stopped it for good. */
  #guard<R>(run: () => R): R {
    try {
      return run()
    } catch (error) {
      throw this.#stopped(error)
    }
  }

  #stopped(error: unknown): LightningError {
    const why = new LightningError('Restarted', [String((error as Error)?.message ?? error)], { cause: error })
    if (!this.#ended) this.#end(why)
    this.#stoppedWith()
    return why
  }

  #answer(number: number, request: Uint8Array): void {
    try {
      const response = this.#engine.call(number, request.subarray(1), request[0] === DURABLE)
      if (this.#engine.hasLive()) this.#answerAndTell(number, response)
      else this.#clients.get(number)?.send(response)
    } catch (error) {
      this.#stopped(error)
    }
    this.#afterwards()
  }

  #answerAndTell(number: number, response: Uint8Array): void {
    const told = new Map<number, Uint8Array[]>([[number, [response]]])
    this.#engine.events((client, frames) => {
      const parts = told.get(client)
      if (parts) parts.push(frames)
      else told.set(client, [frames])
    })
    for (const [client, parts] of told) this.#clients.get(client)?.send(parts.length === 1 ? parts[0]! : joined(parts))
  }

  #enqueue(task: () => Promise<void>): Promise<void> {
    this.#waiting++
    const done = this.#tasks.then(async () => {
      try {
        await task()
      } catch (error) {
        // An error of its own, as of closing, is no end of the engine.
        throw error instanceof Uint8Array ? error : this.#stopped(error)
      } finally {
        this.#waiting--
      }
    })
    this.#tasks = done.catch(() => {})
    return done
  }

  #afterwards(): void {
    this.#stepSoon()
    if (this.#wake !== undefined) clearTimeout(this.#wake)
    this.#wake = undefined
    if (this.#ended || !this.#engine.hasLive()) return
    const at = this.#engine.wakeAtMs()
    if (at === undefined) return
    this.#wake = setTimeout(() => this.#tellAll(), Math.min(Math.max(at - Date.now(), 0), TIMER_MS_MAX))
    unref(this.#wake)
  }

  /** Rows have gone by themselves. */
  #tellAll(): void {
    if (this.#ended) return
    const tell = (client: number, frames: Uint8Array) => this.#clients.get(client)?.send(frames)
    if (!FILES_ALONE && this.#later) {
      void this.#enqueue(() => this.#engine.eventsLater(tell)).then(() => this.#afterwards(), () => {})
    } else {
      // Whoever hears may ask at once, which the engine cannot answer while it tells.
      const told: [number, Uint8Array][] = []
      this.#guard(() => this.#engine.events((client, frames) => told.push([client, frames])))
      for (const [client, frames] of told) tell(client, frames)
      this.#afterwards()
    }
  }

  #removeExpired(): void {
    // Without collections in use nothing goes by itself.
    if (this.#ended || this.#parts?.has(DOCUMENTS) === false) return
    const expired = request(Operation.RemoveExpired)
    if (!FILES_ALONE && this.#later) void this.#enqueue(async () => void (await this.#engine.callLater(OWN, expired, false))).catch(() => {})
    else this.#guard(() => this.#engine.call(OWN, expired, false))
  }

  /** Background work is to be done when nobody asks. */
  #stepSoon(): void {
    this.#wasAsked = true
    if (this.#stepping !== undefined || this.#ended) return
    this.#stepBy = performance.now() + PUT_OFF_MS_MAX
    this.#stepIn(IDLE_MS)
  }

  #stepIn(ms: number): void {
    this.#wasAsked = false
    this.#stepping = setTimeout(this.#step, ms)
  }

  #step = (): void => {
    this.#stepping = undefined
    if (this.#ended || !this.#canMerge()) return
    const begin = performance.now()
    if (this.#wasAsked && begin < this.#stepBy) return this.#stepIn(IDLE_MS)
    if (!FILES_ALONE && this.#later) {
      // Whoever waits goes first, and comes by here again.
      if (this.#waiting > 0) return
      void this.#enqueue(async () => {
        try {
          if (await this.#engine.stepLater()) this.#goOn()
        } catch (error) {
          if (!(error instanceof Uint8Array)) throw error
        }
      }).catch(() => {})
      return
    }
    try {
      while (this.#engine.step()) if (performance.now() - begin >= SLICE_MS) return this.#goOn()
    } catch (error) {
      // A failing storage fails here, too; whoever writes next is told.
      if (!(error instanceof Uint8Array)) this.#stopped(error)
    }
  }

  /** Whether what background work runs is there. It is fetched when there may be some. */
  #canMerge(): boolean {
    if (this.#mayMerge()) return true
    if (this.#receivedBytes >= UNMERGED_BYTES_MAX) this.#parts!.bring(MERGING).then(() => this.#stepSoon(), () => {})
    return false
  }

  /** There is more background work. */
  #goOn(): void {
    this.#stepBy = performance.now() + PUT_OFF_MS_MAX
    if (this.#stepping === undefined) this.#stepIn(0)
  }
}

/** A request of the host itself: one operation without arguments. */
function request(operation: number): Uint8Array {
  const writer = new Writer()
  writeOperation(writer, operation, () => {})
  return writer.take()
}

/** Throws where the answer is a failure. */
function required(response: Uint8Array): void {
  if (response[4] === Status.Failure) throw readFailure(new Reader(response, 5))
}

/** A timer keeps no process alive. */
function unref(timer: unknown): void {
  ;(timer as { unref?: () => void }).unref?.()
}
