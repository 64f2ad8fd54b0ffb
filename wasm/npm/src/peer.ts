// A page's part in a database that other tabs of its origin have open, too. One of them owns the files: whoever holds the
// owner's lock. The others are served by its worker, and stand in line for the lock.

import type { OpenOptions } from './database.js'
import { LightningError } from './errors.js'
import type { Inline } from './inline.js'
import { Connection } from './connection.js'
import { AsyncLink } from './link.js'
import { hadCollections, laterScript } from './fetching.js'
import { type Announcement, type Note, type Opened, ownerLock, tabsChannel } from './messages.js'
import { Own } from './own.js'
import type { Starting } from './starting.js'

/** How a page opens its database. */
export interface Plan {
  name: string
  options: OpenOptions
  wasm: string | WebAssembly.Module
  parts: string[]
  /** Starts a worker; undefined where there are none. */
  start: (() => Worker) | undefined
  /** Starts one that has every storage, where the first has files alone. */
  other?: () => Worker
  /** Worker and WebAssembly for where those are missing. */
  spare?: () => Promise<Inline>
  /** Other tabs may take part. */
  shared: boolean
}

/** An owner that has not been heard for so long is not waited for. */
const SILENCE_MS = 15_000
const WATCH_MS = 2500
/** A worker that was stopped while it left is given up after so long. */
const LEAVE_MS = 1000
/** An engine that stops so often in so much time is not started again. */
const STOPS_MAX = 3
const STOPS_MS = 60_000

export class Peer {
  readonly link: AsyncLink
  /** What was opened, by whomever. */
  readonly opened: Promise<Opened>
  readonly #plan: Plan
  #resolve!: (opened: Opened) => void
  #reject!: (why: unknown) => void
  #isOpen = false
  #tabs: BroadcastChannel | undefined
  #own: Own | undefined
  /** Begun before it is known whether it is needed. */
  #starting: Starting | undefined
  #connection: Connection | undefined
  /** In line for the lock. */
  #line: AbortController | undefined
  /** Done when the lock is free again. */
  #owning: Promise<unknown> = Promise.resolve()
  /** Lets the lock go. */
  #letGo = () => {}
  /** Counts how often it has taken part: what was begun before does not go on. */
  #turn = 0
  #isAway = false
  #isOver = false
  /** When the engine stopped by itself. */
  #stops: number[] = []
  #watch: ReturnType<typeof setInterval> | undefined
  #watchedAt = 0
  #waitsSince = 0

  constructor(plan: Plan) {
    this.#plan = plan
    this.link = new AsyncLink(laterScript, undefined, plan.options.storage !== 'memory')
    this.opened = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#listen(true)
    this.#begin()
  }

  /** Answers what was asked, closes the files if they are this page's, and ends. */
  async close(): Promise<void> {
    // What was asked in this turn goes before.
    await Promise.resolve()
    if (!this.#own) await this.link.settled().catch(() => {})
    this.#isAway = true
    this.#turn++
    this.#own?.note('leave')
    const why = await this.#own?.ended
    this.#end(new LightningError('Closed'))
    await this.#owning
    if (why) throw why
  }

  /** Takes part: owns the files if nobody does, else is served. */
  #begin(): void {
    if (this.#isAway || this.#isOver) return
    const { name, shared, start } = this.#plan
    if (!shared) return void this.#serve()
    // Most often nobody has it open: a worker is there by the time that this is known.
    this.#starting ??= Own.prepare(this.#plan)
    this.#tabs ??= this.#announced()
    this.#watchOver(true)
    const turn = ++this.#turn
    void navigator.locks.request(ownerLock(name), { ifAvailable: true }, lock => {
      if (turn !== this.#turn) return undefined
      if (lock && start) return (this.#owning = this.#serve())
      if (lock && !this.#isOpen) return this.#end(new LightningError('NoOwner', [name]))
      this.#join()
      return undefined
    }).then(() => {
      if (turn !== this.#turn) return
      if (this.#connection) this.#standInLine()
      else this.#begin()
    })
  }

  /** Waits to be the next owner, behind all who wait already. */
  #standInLine(): void {
    this.#line?.abort()
    if (this.#isAway || this.#isOver || !this.#plan.start) return
    const line = (this.#line = new AbortController())
    const turn = this.#turn
    const mine = () => turn === this.#turn
    navigator.locks
      .request(ownerLock(this.#plan.name), { signal: line.signal }, () => (mine() ? (this.#owning = this.#serve()) : undefined))
      .then(() => mine() && this.#begin(), () => {})
  }

  /** Owns the files until they are given up. */
  async #serve(): Promise<void> {
    this.#line = undefined
    this.#disconnect()
    this.#watchOver(false)
    const letGo = new Promise<void>(resolve => (this.#letGo = resolve))
    while (!this.#isAway && !this.#isOver) {
      const { name, options, shared } = this.#plan
      const message = { open: name, options, shared, hidden: isHidden(), usual: hadCollections() }
      const first = this.#starting
      this.#starting = undefined
      let starting: Starting | undefined
      const begun = (begins: Starting) => {
        starting = begins
        if (this.#isAway || this.#isOver) begins.terminate()
      }
      let own: Own | void
      try {
        own = await Promise.race([Own.open(this.#plan, message, first, begun), letGo])
      } catch (error) {
        // Files that another has not closed yet are tried again, but nobody waits for it any longer.
        if (!this.#isOpen || !(error as LightningError).retryable) return this.#end(error as LightningError)
        this.link.refuse(error as LightningError)
        continue
      }
      if (!own || this.#isAway || this.#isOver) return starting?.terminate()
      this.#own = own
      this.#hasOpened(own.opened)
      this.link.resume(own)
      const ended = own.ended.then(why => {
        if (this.#own !== own) return undefined
        this.#own = undefined
        this.link.lost(why === null, why !== null)
        if (why) this.#hasStopped(why)
        return why
      })
      // The files have a lock of their own: the next may begin to wait for it.
      if (!(await Promise.race([ended, letGo]))) return
    }
  }

  #hasStopped(why: LightningError): void {
    const now = performance.now()
    this.#stops = [...this.#stops.filter(at => now - at < STOPS_MS), now]
    // What was in memory is gone.
    if (this.#stops.length >= STOPS_MAX || this.#plan.options.storage === 'memory') this.#end(why)
  }

  /** Is served by whoever owns the files, or will. */
  #join(): void {
    this.#abandon()
    const connection = (this.#connection = new Connection(this.#tabs!, isHidden))
    connection.onwelcome = opened => {
      this.#hasOpened(opened)
      this.link.resume(connection)
    }
    connection.onleft = () => this.link.lost(true)
    connection.onother = isNewer => this.#end(new LightningError('OtherVersion', [this.#plan.name, isNewer ? 'newer' : 'older']))
  }

  /** The worker that was started in case it is needed is not. */
  #abandon(): void {
    this.#starting?.terminate()
    this.#starting = undefined
  }

  #disconnect(): void {
    this.link.lost(false)
    this.#connection?.close()
    this.#connection = undefined
  }

  #announced(): BroadcastChannel {
    const tabs = tabsChannel(this.#plan.name)
    tabs.onmessage = ({ data }: MessageEvent<Announcement>) => {
      const connection = this.#connection
      if (!('owner' in data) || !connection || connection.owner === data.owner) return
      if (!connection.owner) return connection.join()
      this.#disconnect()
      this.#join()
    }
    return tabs
  }

  #hasOpened(opened: Opened): void {
    const { storage } = this.#plan.options
    if (!this.#isOpen && storage && storage !== opened.storage) {
      const what = `the database '${opened.name}' is in '${opened.storage}'; open it there, or delete it with destroy('${opened.name}')`
      return this.#end(new LightningError('StorageUnavailable', [storage, what]))
    }
    this.#isOpen = true
    this.#resolve(opened)
  }

  #end(why: LightningError): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#abandon()
    this.#line?.abort()
    this.#listen(false)
    this.#watchOver(false)
    this.link.end(why)
    this.#connection?.close()
    this.#connection = undefined
    this.#own?.note('leave')
    this.#tabs?.close()
    this.#reject(why)
  }

  /** Nobody waits for an owner that says nothing. */
  #watchOver(on: boolean): void {
    clearInterval(this.#watch)
    if (!on) return
    this.#watchedAt = this.#waitsSince = performance.now()
    this.#watch = setInterval(() => {
      const now = performance.now()
      // This tab itself stood still.
      if (now - this.#watchedAt > 2 * WATCH_MS || (this.#isOpen && !this.link.isWaiting)) this.#waitsSince = now
      this.#watchedAt = now
      const heardAt = Math.max(this.#waitsSince, this.#connection?.heardAt ?? 0)
      if (now - heardAt < SILENCE_MS) return this.#connection?.note('ping')
      this.#waitsSince = now
      const why = new LightningError('OwnerUnresponsive', [this.#plan.name])
      if (!this.#isOpen) return this.#end(why)
      this.#disconnect()
      this.link.refuse(why)
      this.#join()
    }, WATCH_MS)
  }

  /** Gives everything up, for the page is about to be stopped. */
  #leave = ({ type }: Event): void => {
    if (this.#isAway) return
    this.#isAway = true
    this.#turn++
    this.#abandon()
    this.#line?.abort()
    this.#watchOver(false)
    this.#own?.note(type === 'pagehide' ? 'end' : 'leave')
    this.#letGo()
    // A worker of this page still answers what it was asked.
    if (!this.#own) this.#disconnect()
    this.#tabs?.close()
    this.#tabs = undefined
  }

  #return = async (): Promise<void> => {
    if (!this.#isAway || this.#isOver) return
    this.#isAway = false
    const own = this.#own
    if (own) {
      await Promise.race([own.ended, new Promise(resolve => setTimeout(resolve, LEAVE_MS))])
      own.terminate()
      if (this.#own === own) {
        this.#own = undefined
        this.link.lost(false)
      }
    }
    this.#begin()
  }

  #look = (): void => {
    const note: Note = isHidden() ? 'hidden' : 'visible'
    this.#own?.note(note)
    if (!this.#connection) return
    this.#connection.note(note)
    // Whoever is not looked at goes to the end of the line.
    if (note === 'hidden' && this.#line) this.#standInLine()
  }

  #listen(on: boolean): void {
    if (!this.#plan.shared || typeof document === 'undefined') return
    const change = on ? 'addEventListener' : 'removeEventListener'
    globalThis[change]('pagehide', this.#leave)
    globalThis[change]('pageshow', this.#return)
    document[change]('freeze', this.#leave)
    document[change]('resume', this.#return)
    document[change]('visibilitychange', this.#look)
  }
}

function isHidden(): boolean {
  // A service worker may be stopped at any time: any tab better has the files.
  return typeof document === 'undefined' ? typeof Worker === 'undefined' : document.visibilityState === 'hidden'
}
