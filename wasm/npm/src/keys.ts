// The keys of an encrypted database, changed while it is open.

import { type Abortable } from './abort.js'
import { Writer } from './cbor.js'
import type { DatabaseOf } from './database.js'
import { LightningError } from './errors.js'
import { readFailure } from './failure.js'
import type { Engine } from './host.js'
import { type Answer, type Arguments, type Given, type Link, type Mode, writeOperation } from './link.js'
import { Operation, Status, eachFrame } from './protocol.js'
import { type Encryption, type EncryptionKey, Secret, unlocking, unlockingNow } from './secret.js'

/** A key that opens a database, without anything secret. */
export interface KeyInfo {
  /** Which of the eight slots it has: what it is removed by. */
  slot: number
  kind: 'raw' | 'passphrase' | 'provider'
  added: Date
}

/** How far encrypting everything anew is. */
export interface Reencryption {
  /** What it is doing, in a word or a few. */
  stage: string
  /** So many records are written anew, or so many bytes wiped. */
  done: number
  /** About how many there are; 0 where nothing is counted. */
  all: number
  /** What it waits for, if it does not go on by itself. */
  waitingFor?: string
}

export interface ReencryptionOptions extends Abortable {
  /** Told after some steps each time. */
  progress?: (progress: Reencryption) => void
}

/** Who has a database open hears by which key it opens from now on. */
let changed: (name: string, key: EncryptionKey) => void = () => {}

export function onChange(listener: typeof changed): void {
  changed = listener
}

/** The keys of an encrypted database. */
export class EncryptionKeys<M extends Mode> {
  /** @internal */
  constructor(
    private readonly name: string,
    private readonly link: Link<M>,
  ) {}

  /** The keys that open it, by slot. */
  list(): Given<M, KeyInfo[]> {
    return this.#ask(Operation.Keys, () => {}, reader =>
      (reader.value() as [number, KeyInfo['kind'], number][]).map(([slot, kind, added]) => ({ slot, kind, added: new Date(added) })),
    )
  }

  /** Lets one key more open it, at most eight; gives its slot. All lead to the same data. */
  add(key: EncryptionKey): Given<M, number> {
    return this.#withKey(key, Operation.AddKey) as Given<M, number>
  }

  /**
   * The key in a slot opens it no more. The last one stays. Copies of the file from before still open with it: where a key is known to
   * others, `reencrypt`.
   */
  remove(slot: number): Given<M, void> {
    return this.#ask(Operation.RemoveKey, writer => writer.number(slot), () => undefined)
  }

  /** Puts a key in the place of the one in a slot: to change a passphrase. Gives the new one's slot. */
  rotate(slot: number, to: EncryptionKey): Given<M, number> {
    const { link } = this
    return link.then(this.list(), keys => {
      if (!keys.some(key => key.slot === slot)) throw new LightningError('Invalid', [`there is no key in slot ${slot}`])
      return link.then(this.add(to), added => {
        changed(this.name, to)
        return link.then(this.remove(slot), () => added)
      })
    })
  }

  /**
   * Encrypts everything anew, under a new data key that `key` alone opens: all other keys are gone at once, and may be added again.
   * Readers and writers go on meanwhile. When it is given up, or the database closed, the rest is done in the background, also in the
   * sessions that come.
   *
   * It throws `Invalid` where it waits for something: snapshots of before, feeds, damage.
   */
  reencrypt(key: EncryptionKey, options: ReencryptionOptions = {}): Given<M, void> {
    return this.link.then(this.#withKey(key, Operation.Reencrypt), () => {
      changed(this.name, key)
      return this.finishReencryption(options)
    })
  }

  /** How far that is; undefined when nothing of it is left to do. */
  reencryption(): Given<M, Reencryption | undefined> {
    return this.#progress(Operation.Reencryption)
  }

  /** Goes on with it until it is done: one that was given up, or begun in another session. */
  finishReencryption(options: ReencryptionOptions = {}): Given<M, void> {
    const { link } = this
    const { progress, signal } = options
    if (link.mode === 'sync') {
      for (;;) {
        signal?.throwIfAborted()
        const now = this.#progress(Operation.StepReencryption) as Reencryption | undefined
        if (!now) return undefined as Given<M, void>
        progress?.(now)
      }
    }
    const finish = async () => {
      for (;;) {
        signal?.throwIfAborted()
        const now = await this.#progress(Operation.StepReencryption)
        if (!now) return
        progress?.(now)
      }
    }
    return finish() as Given<M, void>
  }

  #progress(operation: Operation): Given<M, Reencryption | undefined> {
    return this.#ask(operation, () => {}, reader => {
      const found = reader.value() as [string, number, number, string | null] | null
      if (!found) return undefined
      const [stage, done, all, waitingFor] = found
      return { stage, done, all, ...(waitingFor !== null && { waitingFor }) }
    })
  }

  #withKey(key: EncryptionKey, operation: Operation): Given<M, unknown> {
    return withSecret(this.link, () => new Secret(key), secret =>
      this.#ask(operation, writer => writer.value(secret.value()), reader => reader.value()),
    )
  }

  #ask<T>(operation: Operation, args: Arguments, answer: Answer<T>): Given<M, T> {
    return askEncrypted(this.link, operation, args, answer)
  }
}

/** The keys of an open database. */
export function keys<M extends Mode>(database: DatabaseOf<M>): EncryptionKeys<M> {
  return new EncryptionKeys(database.name, linkOf(database))
}

/** That this key opens the database which is open already; who has shown one may ask. */
export function unlock<M extends Mode>(database: DatabaseOf<M>, encryption: Encryption): Given<M, void> {
  const link = linkOf(database)
  return withSecret(link, () => new Secret(encryption), secret =>
    askEncrypted(
      link,
      Operation.Unlock,
      writer => {
        writer.number(0)
        writer.value(secret.value())
      },
      () => undefined,
    ),
  )
}

/** As `unlock`, of an engine in this thread, and with no key where that is asked for. */
export function requireKey(engine: Engine, secret: Secret | undefined): void {
  const writer = new Writer()
  writeOperation(writer, Operation.Unlock, writer => {
    writer.number(0)
    writer.value(secret?.value() ?? null)
  })
  eachFrame(engine.call(0, writer.take(), false), (status, body) => {
    if (status === Status.Failure) throw readFailure(body)
  })
}

/** Asks what engines without ciphers do not know. */
function askEncrypted<M extends Mode, T>(link: Link<M>, operation: Operation, args: Arguments, answer: Answer<T>): Given<M, T> {
  const failed = (error: unknown): never => {
    const { code, fields } = error as LightningError
    if (code !== 'Invalid' || !String(fields[0]).startsWith('this build')) throw error
    throw new LightningError('WrongKey', ['the database is not encrypted, so it has no keys'], { cause: error as Error })
  }
  try {
    const given = link.ask(operation, false, args, answer)
    return given instanceof Promise ? (given.catch(failed) as Given<M, T>) : given
  } catch (error) {
    return failed(error)
  }
}

/** Asks with a key, again with what whoever keeps it answers. */
function withSecret<M extends Mode, R>(link: Link<M>, make: () => Secret, ask: (secret: Secret) => Given<M, R>): Given<M, R> {
  if (link.mode === 'sync') {
    const secret = make()
    return unlockingNow(secret, () => ask(secret))
  }
  const asked = async () => {
    const secret = make()
    return unlocking(secret, () => ask(secret) as Promise<R>)
  }
  return asked() as Given<M, R>
}

function linkOf<M extends Mode>(database: DatabaseOf<M>): Link<M> {
  return (database as unknown as { link: Link<M> }).link
}
