// Encrypted databases in browsers. A page fetches this when it opens one: then another worker runs, with an engine that has ciphers.

import type { Database } from './database.js'
import { type BrowserOptions, open } from './index.js'
import { onChange, unlock } from './keys.js'
import type { Plan } from './peer.js'
import { type Encryption, type EncryptionKey, Secret } from './secret.js'
import type { Keyring, KeyringAnswer } from './unlocking.js'

export { EncryptionKeys, type KeyInfo, type Reencryption, type ReencryptionOptions, keys } from './keys.js'
export type { Encryption, EncryptionKey, KeyProvider } from './secret.js'

/**
 * Opens an encrypted database. Whoever finds it open, in this page or in another tab, shows the key to the owner.
 * @internal
 */
export async function openEncrypted(name: string, { encryption, worker, wasm, ...options }: BrowserOptions): Promise<Database> {
  const starting = new EncryptedWorker(name, encryption!, worker)
  try {
    // A service worker has none, and is served.
    const start = worker || typeof Worker !== 'undefined' ? starting.start : undefined
    const database = await open(name, { ...options, worker: start, wasm: wasm ?? whole() })
    if (starting.hasOpened) return database
    try {
      await unlock(database, encryption!)
      return database
    } catch (error) {
      await database.close().catch(() => {})
      throw error
    }
  } catch (error) {
    throw starting.thrown ?? error
  }
}

/**
 * A plan for what is encrypted.
 * @internal
 */
export function encryptedPlan({ name, options: { encryption, ...options }, wasm, parts, start, other, shared }: Plan): Plan & { thrown(): unknown } {
  const starting = new EncryptedWorker(name, encryption!, other ? undefined : start)
  return { name, options, wasm: parts.length > 0 ? whole() : wasm, parts: [], start: starting.start, shared, thrown: () => starting.thrown }
}

function whole(): string {
  return String(new URL('./encrypted.wasm', import.meta.url))
}

/** Of this page, as long as somebody may start them. */
const workers = new Set<WeakRef<EncryptedWorker>>()

onChange((name, key) => {
  for (const worker of workers) {
    const alive = worker.deref()
    if (alive) alive.changed(name, key)
    else workers.delete(worker)
  }
})

/** Starts workers that open one database, each time it has to be opened again. */
class EncryptedWorker {
  /** One of them has opened it. */
  hasOpened = false
  /** What whoever keeps the key has thrown. */
  thrown: unknown
  readonly #name: string
  #encryption: Encryption
  readonly #worker: (() => Worker) | undefined

  constructor(name: string, encryption: Encryption, worker: (() => Worker) | undefined) {
    // A wrong one is heard of before anything starts.
    new Secret(encryption)
    this.#name = name
    this.#encryption = encryption
    this.#worker = worker
    workers.add(new WeakRef(this))
  }

  /** It is opened by another key from now on, should it have to be opened again. */
  changed(name: string, key: EncryptionKey): void {
    if (name === this.#name) this.#encryption = key
  }

  readonly start = (): Worker => {
    const secret = new Secret(this.#encryption)
    this.thrown = undefined
    const worker = this.#worker ? this.#worker() : startWorker()
    worker.addEventListener?.('message', ({ data }) => {
      if ((data as { opened?: unknown }).opened) this.hasOpened = true
    })
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = async ({ data: wanted }: MessageEvent<Uint8Array[]>) => {
      let answer: KeyringAnswer = null
      try {
        await secret.give(wanted)
        answer = secret.bytes()
      } catch (error) {
        this.thrown = error
      }
      port1.postMessage(answer)
    }
    const bytes = secret.bytes()
    worker.postMessage({ secret: bytes, port: port2 } satisfies Keyring, [port2])
    bytes.fill(0)
    return worker
  }
}

function startWorker(): Worker {
  // Written out, for this is what bundlers look for.
  return new Worker(new URL('./worker-encrypted.js', import.meta.url), { type: 'module', name: 'lightning-db' })
}
