// What opens an encrypted database, and how it crosses to the engine: see `wasm/src/keys.rs`.

import { Writer } from './cbor.js'
import { LightningError, addWords } from './errors.js'
import { failure } from './failure.js'

if (!IN_WORKER) {
  addWords({
    WrongKey: ([what]) => `${what}; give one of its keys as 'encryption', or none if it is not encrypted: nothing was changed`,
  })
}

/**
 * What opens an encrypted database, one of these: 32 bytes that nobody can guess; a passphrase, from which Argon2id derives the key, with
 * 64 MB of memory for a moment; or somebody who keeps a key.
 */
export type EncryptionKey =
  | { key: Uint8Array; passphrase?: undefined; provider?: undefined }
  | { passphrase: string; key?: undefined; provider?: undefined }
  | { provider: KeyProvider; key?: undefined; passphrase?: undefined }

/** A new database that is opened with a key is encrypted, and this is its first; others are added by `keys` of `lightning-db/encryption`. */
export type Encryption = EncryptionKey & {
  /** How a new database is encrypted: by ChaCha20-Poly1305, unless said otherwise. WebAssembly has no instructions for AES. */
  cipher?: 'chacha20-poly1305' | 'aes-256-gcm'
}

/**
 * Somebody who keeps a key and gives it to nobody, such as a `CryptoKey` that cannot be extracted. The database draws a key of 32 bytes
 * for it to wrap, stores what it gives back, and asks to unwrap that at each opening. What it throws is thrown by the call that needed
 * the key.
 */
export interface KeyProvider {
  /** Encrypts `key` so that only `unwrap` gives it back, in at most 512 bytes. */
  wrap(key: Uint8Array<ArrayBuffer>): Uint8Array | Promise<Uint8Array>
  /** The key that was wrapped, 32 bytes; null if this provider has not wrapped it. */
  unwrap(wrapped: Uint8Array<ArrayBuffer>): Uint8Array | null | Promise<Uint8Array | null>
}

/** Of what engines say that want something of whoever keeps the key: what is to be unwrapped, or nothing, where a key is to be wrapped. */
const WANTED = 'KeyWanted'
/** Opening asks for what is wrapped, a new database for a key. */
const ROUNDS_MAX = 3
const KEY_BYTES = 32

const RAW = 1
const PASSPHRASE = 2
const PROVIDER = 3

/** A key, and what whoever keeps it has answered so far. */
export class Secret {
  readonly #encryption: Encryption
  readonly #unwrapped: [Uint8Array, Uint8Array | null][] = []
  #wrapped: [Uint8Array, Uint8Array] | null = null

  constructor(encryption: Encryption) {
    this.#encryption = encryption
    const { key, passphrase, provider, cipher } = Object(encryption) as Encryption
    const given = [key, passphrase, provider].filter(one => one !== undefined)
    if (given.length !== 1) throw invalid("'encryption' is one of { key }, { passphrase } and { provider }")
    if (key !== undefined && !(key instanceof Uint8Array && key.length === KEY_BYTES)) {
      throw invalid(`a key is a Uint8Array of ${KEY_BYTES} bytes; a text is a passphrase`)
    }
    if (passphrase !== undefined && (typeof passphrase !== 'string' || passphrase === '')) {
      throw invalid('a passphrase is a text that is not empty')
    }
    if (provider !== undefined && (typeof provider?.wrap !== 'function' || typeof provider.unwrap !== 'function')) {
      throw invalid("a provider has the functions 'wrap' and 'unwrap'")
    }
    if (cipher !== undefined && cipher !== 'chacha20-poly1305' && cipher !== 'aes-256-gcm') {
      throw invalid("a cipher is 'chacha20-poly1305' or 'aes-256-gcm'")
    }
  }

  /** As the engine reads it. */
  value(): unknown {
    const { key, passphrase } = this.#encryption
    if (key) return [RAW, key]
    if (passphrase) return [PASSPHRASE, new TextEncoder().encode(passphrase)]
    return [PROVIDER, this.#unwrapped, this.#wrapped]
  }

  /** As it stands behind the options of the engine. */
  bytes(): Uint8Array {
    const writer = new Writer()
    writer.value(this.#encryption.cipher ?? null)
    writer.value(this.value())
    return writer.take()
  }

  /** Gets what was wanted of whoever keeps the key. */
  give(wanted: readonly Uint8Array[]): Promise<void> | void {
    const provider = this.#encryption.provider!
    if (wanted.length === 0) {
      const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES))
      return next(provider.wrap(key.slice()), wrapped => {
        if (!(wrapped instanceof Uint8Array)) throw refused('what it gives for a wrapped key are no bytes')
        this.#wrapped = [key, wrapped]
      })
    }
    const [first, ...rest] = wanted
    return next(provider.unwrap(first!.slice()), key => {
      if (key && !(key instanceof Uint8Array && key.length === KEY_BYTES)) throw refused(`what it gives for a key are not ${KEY_BYTES} bytes`)
      this.#unwrapped.push([first!, key ?? null])
      return rest.length > 0 ? this.give(rest) : undefined
    })
  }
}

/** What was given as `encryption`. Nothing is opened without a key because of a slip: what is no key is an error. */
export function secretOf({ encryption }: { encryption?: Encryption }): Secret | undefined {
  return encryption === undefined ? undefined : new Secret(encryption)
}

/** Options of an engine that encrypts, and what opens the database. */
export function withKey(options: Uint8Array, secret: Uint8Array | undefined): Uint8Array {
  return joined(options, secret ?? Uint8Array.of(0xf6, 0xf6))
}

/** What an engine wants of whoever keeps the key, if that is why it failed. */
export function wantedBy(error: unknown): readonly Uint8Array[] | undefined {
  const why = failure(error) as LightningError
  return why?.code === (WANTED as string) ? (why.fields as unknown as Uint8Array[]) : undefined
}

/** Runs what needs the key, again with what whoever keeps it answers. */
export async function unlocking<R>(secret: Secret | undefined, run: () => Promise<R> | R): Promise<R> {
  for (let round = 0; ; round++) {
    try {
      return await run()
    } catch (error) {
      const wanted = wantedBy(error)
      if (!wanted || !secret) throw error
      if (round === ROUNDS_MAX) throw refused('it does not give what it was asked for')
      await secret.give(wanted)
    }
  }
}

/** As `unlocking`, where nobody may wait. */
export function unlockingNow<R>(secret: Secret | undefined, run: () => R): R {
  for (let round = 0; ; round++) {
    try {
      return run()
    } catch (error) {
      const wanted = wantedBy(error)
      if (!wanted || !secret) throw error
      if (round === ROUNDS_MAX) throw refused('it does not give what it was asked for')
      const given = secret.give(wanted)
      if (given instanceof Promise) {
        given.catch(() => {})
        throw invalid('the provider answers later; without promises it has to answer at once')
      }
    }
  }
}

function next<T, R>(given: T | Promise<T>, then: (value: T) => R | Promise<R>): R | Promise<R> {
  return given instanceof Promise ? given.then(then) : then(given)
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}

function invalid(what: string): LightningError {
  return new LightningError('Invalid', [what])
}

function refused(why: string): LightningError {
  return new LightningError('WrongKey', [`whoever keeps the key did not give it: ${why}`])
}
