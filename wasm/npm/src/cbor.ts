// Values as CBOR (RFC 8949), the part of it that documents use: see docs/file-format.md.
//
// A `Date` is a timestamp, a `Uint8Array` or `ArrayBuffer` bytes, a `Blob` a map of these and its type; integers beyond 2^53 are `bigint`. Members that are
// undefined are left out, as JSON does.
//
// The worker writes options and refusals, and reads errors and counts: what these never hold is not in its script.

import { BLOB, blobForm, isBlob, readBlob } from './blobs.js'
import { LightningError } from './errors.js'

/** What a document, a field of it, or a key is made of. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Date
  | Uint8Array
  | Blob
  | Uuid
  | readonly Value[]
  | { readonly [name: string]: Value | undefined }

/** A UUID (RFC 9562), stored as 16 bytes and ordered by them. */
export class Uuid {
  constructor(readonly bytes: Uint8Array) {
    if (bytes.length !== 16) throw new LightningError('Invalid', ['a UUID has 16 bytes'])
  }

  /** Reads the usual form, `00112233-4455-6677-8899-aabbccddeeff`. */
  static parse(text: string): Uuid {
    const digits = text.replaceAll('-', '')
    if (!/^[0-9a-f]{32}$/i.test(digits)) throw new LightningError('Invalid', [`'${text}' is no UUID`])
    return new Uuid(Uint8Array.from({ length: 16 }, (_, at) => parseInt(digits.slice(at * 2, at * 2 + 2), 16)))
  }

  static #last = 0n

  /** A new one that sorts behind those made before it here (version 7), also within a millisecond. */
  static v7(): Uuid {
    const [high, low] = crypto.getRandomValues(new BigUint64Array(2)) as unknown as [bigint, bigint]
    // Time, and 73 random bits behind one that is clear, so that many can follow.
    const fresh = (BigInt(Date.now()) << 74n) | (high & 0x1ffn) << 64n | low
    const last = (Uuid.#last = fresh > Uuid.#last ? fresh : Uuid.#last + 1n)
    // Between them what says version and variant.
    const bits = ((last >> 74n) << 80n) | (7n << 76n) | (((last >> 62n) & 0xfffn) << 64n) | (2n << 62n) | (last & 0x3fffffffffffffffn)
    return Uuid.parse(bits.toString(16).padStart(32, '0'))
  }

  toString(): string {
    const digits = Array.from(this.bytes, byte => byte.toString(16).padStart(2, '0')).join('')
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  }

  toJSON(): string {
    return this.toString()
  }
}

/** A moment finer than a millisecond; as a `Date` it is the millisecond that it lies in. */
export class Timestamp extends Date {
  /** @param micros microseconds since the beginning of 1970 */
  constructor(readonly micros: bigint) {
    super(Number(micros / 1000n - (micros % 1000n < 0n ? 1n : 0n)))
  }
}

const DEPTH_MAX = 64
const SECONDS = 1
const EXTENDED_TIME = 1001
const UUID = 37

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** Bytes that grow as they are written. */
export class Writer {
  #bytes = new Uint8Array(1024)
  #view = new DataView(this.#bytes.buffer)
  length = 0

  /** Makes room for `count` more bytes. */
  #room(count: number): void {
    if (this.length + count <= this.#bytes.length) return
    const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + count))
    bytes.set(this.#bytes.subarray(0, this.length))
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }

  byte(byte: number): void {
    this.#room(1)
    this.#bytes[this.length++] = byte
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Writes a number over four bytes that were written before. */
  patch(at: number, number: number): void {
    this.#view.setUint32(at, number, true)
  }

  /** What was written, in a buffer of its own; then it is empty. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.length)
    this.length = 0
    return taken
  }

  /** What was written, where it lies: right until something else is written. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length)
  }

  /** Forgets what was written behind `length`. */
  truncate(length: number): void {
    this.length = length
  }

  /** Room for the head of an item whose length is not known yet. */
  reserveHead(): number {
    this.#room(5)
    this.length += 5
    return this.length - 5
  }

  /** Writes that head. */
  patchHead(at: number, major: number, argument: number): void {
    this.#bytes[at] = (major << 5) | 26
    this.#view.setUint32(at + 1, argument)
  }

  /** What needs more than four bytes may be a `bigint`. */
  head(major: number, argument: number | bigint): void {
    this.#room(9)
    const at = this.length
    if (argument < 24) {
      this.#bytes[at] = (major << 5) | (argument as number)
      this.length = at + 1
    } else if (argument < 0x100) {
      this.#bytes[at] = (major << 5) | 24
      this.#bytes[at + 1] = argument as number
      this.length = at + 2
    } else if (argument < 0x10000) {
      this.#bytes[at] = (major << 5) | 25
      this.#view.setUint16(at + 1, argument as number)
      this.length = at + 3
    } else if (argument < 0x100000000) {
      this.#bytes[at] = (major << 5) | 26
      this.#view.setUint32(at + 1, argument as number)
      this.length = at + 5
    } else {
      this.#bytes[at] = (major << 5) | 27
      this.#view.setBigUint64(at + 1, BigInt(argument))
      this.length = at + 9
    }
  }

  text(text: string): void {
    const { length } = text
    if (!IN_WORKER && length < 48) {
      // Short texts are mostly ASCII, and a call of the encoder costs more than they do.
      // As much as `head` asks for below, which else would move what was written ahead of the end.
      this.#room(length + 9)
      const head = length < 24 ? 1 : 2
      let at = this.length + head
      let place = 0
      for (; place < length; place++) {
        const code = text.charCodeAt(place)
        if (code >= 0x80) break
        this.#bytes[at++] = code
      }
      if (place === length) {
        this.head(3, length)
        this.length = at
        return
      }
    }
    this.#room(length * 3 + 9)
    // The length is known afterwards: the text goes behind the longest head and is moved.
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(this.length + 9))
    const begin = this.length + 9
    this.head(3, written)
    this.#bytes.copyWithin(this.length, begin, begin + written)
    this.length += written
  }

  number(number: number): void {
    if (IN_WORKER || (Number.isInteger(number) && Number.isSafeInteger(number) && !Object.is(number, -0))) {
      if (!IN_WORKER && number < 0) this.head(1, -1 - number)
      else this.head(0, number)
      return
    }
    this.#room(9)
    this.#bytes[this.length] = 0xfb
    this.#view.setFloat64(this.length + 1, number)
    this.length += 9
  }

  /** Any value. `undefined` alone is CBOR's undefined, which no document holds. */
  value(value: unknown, depth = 0): void {
    switch (typeof value) {
      case 'string':
        return this.text(value)
      case 'number':
        return this.number(value)
      case 'boolean':
        return this.byte(value ? 0xf5 : 0xf4)
      case 'undefined':
        return this.byte(0xf7)
      case 'bigint':
        if (!IN_WORKER) writeInteger(this, value)
        return
      case 'object':
        return this.#object(value, depth)
      default:
        if (!IN_WORKER) throw refused(`a ${typeof value}`)
    }
  }

  #object(value: object | null, depth: number): void {
    if (value === null) return this.byte(0xf6)
    if (!IN_WORKER && depth >= DEPTH_MAX) {
      throw new LightningError('LimitExceeded', ['how deep values lie within each other', depth + 1, DEPTH_MAX])
    }
    const prototype = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) {
      this.map(value as Record<string, unknown>, depth)
    } else if (Array.isArray(value)) {
      this.head(4, value.length)
      for (const element of value) this.value(element === undefined ? null : element, depth + 1)
    } else if (value instanceof Uint8Array) {
      this.head(2, value.length)
      this.raw(value)
    } else if (IN_WORKER || !special(this, value, depth)) {
      this.map(value as Record<string, unknown>, depth)
    }
  }

  map(value: Record<string, unknown>, depth: number): void {
    const names = Object.keys(value)
    let count = names.length
    for (const name of names) if (value[name] === undefined) count--
    this.head(5, count)
    for (const name of names) {
      const member = value[name]
      if (member === undefined) continue
      this.text(name)
      this.value(member, depth + 1)
    }
  }
}

/** Writes what is neither a plain object nor of another frequent kind; false where it is like one. */
function special(writer: Writer, value: object, depth: number): boolean {
  if (value instanceof Date) {
    writeMoment(writer, value)
  } else if (value instanceof Uuid) {
    writer.head(6, UUID)
    writer.head(2, 16)
    writer.raw(value.bytes)
  } else if (value instanceof ArrayBuffer) {
    writer.head(2, value.byteLength)
    writer.raw(new Uint8Array(value))
  } else if (ArrayBuffer.isView(value)) {
    writer.head(2, value.byteLength)
    writer.raw(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
  } else if (isBlob(value)) {
    writer.map(blobForm(value), depth)
  } else if (value instanceof Map || value instanceof Set || value instanceof RegExp || value instanceof Promise) {
    throw refused(`a ${value.constructor.name}`)
  } else return false
  return true
}

function writeInteger(writer: Writer, integer: bigint): void {
  const argument = integer < 0n ? -1n - integer : integer
  if (argument >= 1n << 64n) {
    throw new LightningError('Invalid', [`${integer} is beyond the integers that are stored, -2^64 to 2^64 - 1`])
  }
  writer.head(integer < 0n ? 1 : 0, argument <= 0xffffffffn ? Number(argument) : argument)
}

function writeMoment(writer: Writer, date: Date): void {
  const ms = date.getTime()
  // A timestamp may lie beyond what a Date can say.
  if (Number.isNaN(ms) && !(date instanceof Timestamp)) {
    throw new LightningError('Invalid', ['an invalid Date cannot be stored'])
  }
  const micros = date instanceof Timestamp ? date.micros : BigInt(ms) * 1000n
  let seconds = micros / 1_000_000n
  let rest = micros % 1_000_000n
  if (rest < 0n) {
    seconds -= 1n
    rest += 1_000_000n
  }
  if (rest === 0n) {
    writer.head(6, SECONDS)
    return writeInteger(writer, seconds)
  }
  writer.head(6, EXTENDED_TIME)
  writer.head(5, 2)
  writer.number(1)
  writeInteger(writer, seconds)
  writer.number(-6)
  writeInteger(writer, rest)
}

function refused(what: string): LightningError {
  return new LightningError('Invalid', [
    `${what} cannot be stored; values are null, booleans, numbers, bigints, strings, dates, Uint8Arrays, Blobs, UUIDs, arrays and plain objects`,
  ])
}

/** The CBOR of a value. */
export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  const writer = new Writer()
  writer.value(value)
  return writer.take()
}

/** The value that bytes begin with. */
export function decode(bytes: Uint8Array): unknown {
  return new Reader(bytes).value()
}

/** Reads one item after the other. What it reads was checked when it was stored. */
export class Reader {
  #lazyView: DataView | undefined
  at: number

  constructor(
    readonly bytes: Uint8Array,
    at = 0,
  ) {
    this.at = at
  }

  /** Made when it is needed: short documents do without. */
  get #view(): DataView {
    return (this.#lazyView ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength))
  }

  /** The argument of the head at the place, which is behind it afterwards. */
  #argument(short: number): number {
    const at = this.at
    if (short < 24) return short
    if (short === 24) {
      this.at = at + 1
      return this.bytes[at]!
    }
    if (short === 25) {
      this.at = at + 2
      return (this.bytes[at]! << 8) | this.bytes[at + 1]!
    }
    if (short === 26) {
      this.at = at + 4
      const { bytes } = this
      return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
    }
    this.at = at + 8
    return this.#view.getUint32(at) * 0x100000000 + this.#view.getUint32(at + 4)
  }

  /** An integer whose head was read, exactly. */
  #integer(short: number, negative: boolean): number | bigint {
    const begin = this.at
    const argument = this.#argument(short)
    if (IN_WORKER || argument < Number.MAX_SAFE_INTEGER) return negative ? -1 - argument : argument
    const exact = this.#view.getBigUint64(begin)
    const integer = negative ? -1n - exact : exact
    const number = Number(integer)
    return Number.isSafeInteger(number) ? number : integer
  }

  /** How many items a list has whose head is here. */
  list(): number {
    return this.#argument(this.bytes[this.at++]! & 31)
  }

  /** The bytes of a byte string that is here, where they lie. */
  slice(): Uint8Array {
    return this.bytes.subarray(this.skip(), this.at)
  }

  /** Goes behind a byte string that is here; gives where its bytes begin. */
  skip(): number {
    const length = this.#argument(this.bytes[this.at++]! & 31)
    this.at += length
    return this.at - length
  }

  number(): number {
    return this.#argument(this.bytes[this.at++]! & 31)
  }

  value(): any {
    const initial = this.bytes[this.at++]!
    const short = initial & 31
    switch (initial >> 5) {
      case 0:
        return short < 24 ? short : this.#integer(short, false)
      case 1:
        return IN_WORKER ? undefined : this.#integer(short, true)
      case 2: {
        const length = this.#argument(short)
        this.at += length
        return this.bytes.slice(this.at - length, this.at)
      }
      case 3:
        return this.#text(this.#argument(short))
      case 4: {
        const length = this.#argument(short)
        const elements = new Array(length)
        for (let at = 0; at < length; at++) elements[at] = this.value()
        return elements
      }
      case 5: {
        const length = this.#argument(short)
        const map: Record<string, unknown> = {}
        let isBlob = false
        for (let at = 0; at < length; at++) {
          const name = this.value()
          if (at === 0) isBlob = name === BLOB
          // The one name that would not become a member of its own.
          if (!IN_WORKER && name === '__proto__') {
            Object.defineProperty(map, name, { value: this.value(), enumerable: true, configurable: true, writable: true })
          } else map[name] = this.value()
        }
        return !IN_WORKER && isBlob ? readBlob(map) : map
      }
      case 6:
        return IN_WORKER ? this.value() : tagged(this.#argument(short), this.value())
      default:
        return this.#simple(short)
    }
  }

  #text(length: number): string {
    const { bytes } = this
    const begin = this.at
    const end = begin + length
    this.at = end
    if (!IN_WORKER && length < 32) {
      let text = ''
      let at = begin
      for (; at < end; at++) {
        const byte = bytes[at]!
        if (byte >= 0x80) break
        text += String.fromCharCode(byte)
      }
      if (at === end) return text
    }
    return decoder.decode(bytes.subarray(begin, end))
  }

  #simple(short: number): unknown {
    switch (short) {
      case 20:
        return false
      case 21:
        return true
      case 22:
        return null
      case 25: {
        this.at += 2
        return IN_WORKER ? undefined : half(this.#view.getUint16(this.at - 2))
      }
      case 26:
        this.at += 4
        return IN_WORKER ? undefined : this.#view.getFloat32(this.at - 4)
      case 27:
        this.at += 8
        return IN_WORKER ? undefined : this.#view.getFloat64(this.at - 8)
      default:
        return undefined
    }
  }
}

/** A value that was written as another one, with a tag. */
function tagged(tag: number, value: any): unknown {
  if (tag === UUID) return new Uuid(value)
  if (tag === SECONDS) return moment(BigInt(value) * 1_000_000n)
  return moment(BigInt(value['1'] ?? 0) * 1_000_000n + BigInt(value['-6'] ?? 0))
}

function moment(micros: bigint): Date {
  const date = new Date(Number(micros / 1000n))
  return micros % 1000n === 0n && !Number.isNaN(date.getTime()) ? date : new Timestamp(micros)
}

/** A float of 16 bits (IEEE 754). */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 0x3ff
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
