// Databases made of backups. What is no whole database is refused before anything is changed.

import { Writer } from './cbor.js'
import { type Abortable, raced } from './abort.js'
import { LightningError, addWords } from './errors.js'
import { readFailure } from './failure.js'
import type { Engine } from './host.js'
import { writeOperation } from './link.js'
import { Operation, Status, eachFrame } from './protocol.js'

if (!IN_WORKER) {
  addWords({
    DatabaseExists: ([name]) => `there is a database '${name}' already; restore under another name, or with 'overwrite'`,
  })
}

/** The bytes of a backup. */
export type BackupSource = Blob | ReadableStream<Uint8Array> | ArrayBuffer | ArrayBufferView<ArrayBuffer>

export interface RestoreOptions extends Abortable {
  /** Put it in the place of a database that is there; else that is an error, `DatabaseExists`. */
  overwrite?: boolean
}

/** Gives away its bytes, piece by piece. */
export async function read(source: BackupSource, signal: AbortSignal | undefined, take: (piece: Uint8Array<ArrayBuffer>) => void): Promise<void> {
  if (typeof source !== 'object' || source === null) {
    throw new LightningError('Invalid', ['a backup is a Blob, a stream of bytes, or bytes'])
  }
  const stream = source instanceof ReadableStream ? source : new Response(source).body!
  const reader = stream.getReader() as ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>
  try {
    for (;;) {
      const { done, value } = await raced(signal, () => reader.read())
      if (done) return
      take(value)
    }
  } catch (error) {
    reader.cancel(error).catch(() => {})
    throw error
  }
}

/** Refuses to restore over what is there. */
export function requireFree(name: string, exists: boolean, overwrite: boolean): void {
  if (exists && !overwrite) throw new LightningError('DatabaseExists', [name])
}

/** Looks at everything in it. Damage is an error. */
export async function requireWhole(engine: Engine, later: boolean): Promise<void> {
  const writer = new Writer()
  writeOperation(writer, Operation.Check, () => {})
  const request = writer.take()
  eachFrame(later ? await engine.callLater(0, request, false) : engine.call(0, request, false), (status, body) => {
    if (status === Status.Failure) throw readFailure(body)
    const [problem] = body.value().at(-1)
    if (problem) throw new LightningError('Corrupt', [problem, 0])
  })
}
