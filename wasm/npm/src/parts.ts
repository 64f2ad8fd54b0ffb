// The engine in parts: the first is there from the beginning, the others are fetched before an operation needs them. What
// calls a part that nobody has foreseen waits for it, in a worker, as for a file.

import { Writer } from './cbor.js'
import { LightningError } from './errors.js'
import { addPart, hasPart, onMissingPart } from './generated/engine.js'
import { Operation, Status } from './protocol.js'

/** Bringing what is in memory into the data file, which closing does, too. */
export const MERGING = 1
/** Collections, queries and what follows them. */
export const DOCUMENTS = 2
/** What is seldom asked. */
export const REST = 3
/** What whoever opens a database that is there asks next most often needs these. */
export const USUAL: readonly number[] = [DOCUMENTS]

const { OpenCollection, Collections, DropCollection, DropTable, FinishMigration, Watch, NextChanges, Stats, Compact, RemoveExpired, TableDeleteRange, TableSwap } = Operation

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
    onMissingPart(part => this.bringNow(part))
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
    for (const operation of operations(request)) {
      const part = partOf(operation)
      if (part > 0 && !this.#add(part)) missing.add(part)
    }
    return missing.size > 0 ? Promise.all([...missing].map(part => this.bring(part))) : undefined
  }

  /** As `needed`, of a request without its first byte, while everything else waits. */
  bringNeeded(request: Uint8Array): void {
    for (const operation of operations(request, 0)) this.bringNow(partOf(operation))
  }

  /** Whether it is there already. */
  has(part: number): boolean {
    return this.#addresses.length === 0 || hasPart(part)
  }

  /** Fetches a part, once; again when that failed. */
  async bring(part: number): Promise<void> {
    if (this.has(part)) return
    let fetched = this.#fetched.get(part)
    if (!fetched) {
      this.#fetched.set(part, (fetched = this.#later(part)))
      fetched.catch(() => this.#fetched.delete(part))
    }
    return fetched
  }

  /** As `bring`, while everything else waits. */
  bringNow(part: number): void {
    if (part === 0 || this.#addresses.length === 0 || this.#add(part)) return
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
      const response = await fetch(address)
      if (!response.ok) throw new Error(`${response.status} ${response.statusText}`)
      addPart(part, await WebAssembly.compile(await response.arrayBuffer()))
    } catch (error) {
      throw missing(address, error)
    }
  }
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

function* operations(request: Uint8Array, begin = 1): Generator<number> {
  const view = new DataView(request.buffer, request.byteOffset, request.byteLength)
  for (let at = begin; at < request.length; at += 4 + view.getUint32(at, true)) yield request[at + 4]!
}

function partOf(operation: number): number {
  if (operation >= DropTable && operation <= FinishMigration) return REST
  if ((operation >= Stats && operation <= Compact) || operation >= Operation.Backup) return REST
  if (operation === DropCollection || operation === TableDeleteRange || operation === TableSwap) return REST
  const documents = operation === OpenCollection || (operation >= Collections && operation < Operation.Batch)
  return documents || (operation >= Watch && operation <= NextChanges) || operation === RemoveExpired ? DOCUMENTS : 0
}

function missing(address: string, error: unknown): LightningError {
  return new LightningError('PartMissing', [address, (error as Error).message], { cause: error })
}
