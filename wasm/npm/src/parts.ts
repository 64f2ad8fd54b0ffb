// The engine in parts: the first is there from the beginning, the others are fetched before an operation needs them. What
// calls a part that nobody has foreseen waits for it, in a worker, as for a file.

import { Reader, Writer } from './cbor.js'
import { LightningError } from './errors.js'
import { addPart, hasPart, onMissingPart } from 'engine'
import { Operation, Status } from './protocol.js'

/** Ranges, transactions, tables with types, and what several of the later parts need, so that it comes with each of them. */
const TABLES = 1
/** Bringing what is in memory into the data file, which closing does, too. */
export const MERGING = 2
/** Collections, queries and what follows them. */
export const DOCUMENTS = 3
/** What is seldom asked. */
export const REST = 4
/** By part: what it is fetched with. */
const WITH: readonly (readonly number[])[] = [[], [TABLES], [TABLES, MERGING], [TABLES, DOCUMENTS], [TABLES, MERGING, DOCUMENTS, REST]]
/** What whoever has used collections before asks next, when the database is open. */
export const USUAL = WITH[DOCUMENTS]!

/** Fetches parts of the engine, from these addresses; the first part is not among them. */
export class Parts {
  readonly #addresses: readonly string[]
  readonly #fetched = new Map<number, Promise<void>>()
  /** What the page has fetched, until it is needed. */
  readonly #given = new Map<number, WebAssembly.Module>()
  readonly #coming = new Set<number>()
  #arrived!: () => void
  readonly #arrival = new Promise<void>(resolve => (this.#arrived = resolve))

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses
    onMissingPart(part => this.#bringNow(part))
  }

  /** The page fetches these parts, those that there are; it tells what became of each by `take`. */
  expect(parts: readonly number[]): readonly number[] {
    if (this.#addresses.length === 0) return []
    for (const part of parts) this.#coming.add(part)
    return parts
  }

  /** A part that was to come; null where it did not. It is added at once where the engine `runs`, for then nobody asks anything yet. */
  take(part: number, module: WebAssembly.Module | null, runs = false): void {
    if (module) this.#given.set(part, module)
    if (runs) this.#add(part)
    this.#coming.delete(part)
    if (this.#coming.size === 0) this.#arrived()
  }

  /** Brings what the operations of a request need; undefined where that is there. */
  needed(request: Uint8Array): Promise<unknown> | undefined {
    if (this.#addresses.length === 0) return
    const missing = new Set<number>()
    for (const frame of operations(request)) {
      const part = partOf(frame)
      if (!WITH[part]!.every(part => this.#add(part))) missing.add(part)
    }
    return missing.size > 0 ? Promise.all([...missing].map(part => this.bring(part))) : undefined
  }

  /** As `needed`, of a request without its first byte, while everything else waits. */
  bringNeeded(request: Uint8Array): void {
    for (const frame of operations(request, 0)) this.bringNow(partOf(frame))
  }

  /** Whether it is there already, with what it needs. */
  has(part: number): boolean {
    return this.#addresses.length === 0 || WITH[part]!.every(hasPart)
  }

  /** Fetches a part and what it needs. */
  async bring(part: number): Promise<void> {
    if (!this.has(part)) await Promise.all(WITH[part]!.map(part => this.#bring(part)))
  }

  /** Fetches a part, once; again when that failed. */
  async #bring(part: number): Promise<void> {
    if (this.#add(part)) return
    let fetched = this.#fetched.get(part)
    if (!fetched) {
      this.#fetched.set(part, (fetched = this.#later(part)))
      fetched.catch(() => this.#fetched.delete(part))
    }
    return fetched
  }

  /** As `bring`, while everything else waits. */
  bringNow(part: number): void {
    if (this.#addresses.length > 0) for (const each of WITH[part]!) this.#bringNow(each)
  }

  #bringNow(part: number): void {
    if (this.#add(part)) return
    const address = this.#addresses[part - 1]!
    try {
      const request = new XMLHttpRequest()
      request.open('GET', address, false)
      request.responseType = 'arraybuffer'
      request.send()
      if (request.status !== 200) throw new Error(`${request.status} ${request.statusText}`)
      addPart(part, new WebAssembly.Module(request.response))
    } catch (error) {
      throw missing(address, error)
    }
  }

  /** Whether it is there, now that what was given of it is added. */
  #add(part: number): boolean {
    const module = this.#given.get(part)
    this.#given.delete(part)
    try {
      if (module) addPart(part, module)
    } catch {
      // The browser had kept it of another build: it is fetched again.
    }
    return hasPart(part)
  }

  async #later(part: number): Promise<void> {
    if (this.#coming.has(part)) await this.#arrival
    if (this.#add(part)) return
    const address = this.#addresses[part - 1]!
    try {
      addPart(part, await fetchedModule(address))
    } catch (error) {
      throw missing(address, error)
    }
  }
}

/** Whatever type the server gives it. */
export async function fetchedModule(address: string): Promise<WebAssembly.Module> {
  const response = await fetch(address)
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`)
  return WebAssembly.compile(await response.arrayBuffer())
}

/** The answer to a request of which nothing was done. */
export function refusal(request: Uint8Array, why: LightningError): Uint8Array {
  const writer = new Writer()
  for (const _ of operations(request)) {
    const begin = writer.length
    writer.raw(new Uint8Array(4))
    writer.byte(Status.Failure)
    writer.value([why.code, why.retryable, ...why.fields])
    writer.patch(begin, writer.length - begin - 4)
  }
  return writer.take()
}

/** The frames of a request: an operation and its arguments. */
function* operations(request: Uint8Array, from = 1): Generator<Uint8Array> {
  const view = new DataView(request.buffer, request.byteOffset, request.byteLength)
  for (let at = from; at < request.length; ) {
    const begin = at + 4
    at = begin + view.getUint32(at, true)
    yield request.subarray(begin, at)
  }
}

/** Longer values are stored in places of their own. */
const LONG_BYTES = 8 << 10

/** What a table that holds keys and values of every kind is opened with at last, as CBOR: two short texts. */
const EVERY_KIND = 'ckeyevalue'

function partOf(frame: Uint8Array): number {
  const operation = frame[0]!
  switch (operation) {
    case Operation.OpenTable:
      return String.fromCharCode(...frame.subarray(-EVERY_KIND.length)) === EVERY_KIND ? 0 : TABLES
    case Operation.TablePut:
      return frame.length < LONG_BYTES && isPlainPut(frame) ? 0 : TABLES
    case Operation.TableGet:
    case Operation.TableDelete:
    case Operation.Number:
    case Operation.Release:
    case Operation.Outcome:
    case Operation.Sync:
      return 0
    case Operation.DropCollection:
    case Operation.Check:
    case Operation.Checkpoint:
    case Operation.Compact:
      return REST
    case Operation.Begin:
    case Operation.Commit:
    case Operation.Next:
    case Operation.Batch:
    case Operation.Stats:
      return TABLES
  }
  if ((operation >= Operation.DropTable && operation <= Operation.FinishMigration) || operation >= Operation.Backup) return REST
  return operation > Operation.Batch && operation < Operation.Watch ? TABLES : DOCUMENTS
}

/** Whether what is put goes over whatever is there; said by the number behind two others, of scope and table. */
function isPlainPut(frame: Uint8Array): boolean {
  const reader = new Reader(frame, 1)
  reader.number()
  reader.number()
  return reader.number() === 0
}

function missing(address: string, error: unknown): LightningError {
  return new LightningError('PartMissing', [address, (error as Error).message], { cause: error })
}
