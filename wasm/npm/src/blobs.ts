// Blobs and files in documents: a map with the type and the bytes, as which other languages read them. See docs/file-format.md.

import { LightningError } from './errors.js'

/** The first member of such a map: the type. */
export const BLOB = '$blob'
/** No document is longer. */
const BYTES_MAX = 16 << 20

/** What was read, until it is written. */
const contents = new WeakMap<Blob, Uint8Array>()

/** A blob is to be written whose bytes are not read yet. */
export class UnreadBlob extends LightningError {
  constructor(private readonly blob: Blob) {
    super('Invalid', ['a Blob is read later, so without promises it cannot be stored; give its bytes'])
  }

  /** Reads it, and then does what needs its bytes. */
  async read<T>(run: () => Promise<T>): Promise<T> {
    const { size } = this.blob
    if (size > BYTES_MAX) throw new LightningError('LimitExceeded', ['the length of a document in bytes', size, BYTES_MAX])
    contents.set(this.blob, new Uint8Array(await this.blob.arrayBuffer()))
    try {
      return await run()
    } finally {
      contents.delete(this.blob)
    }
  }
}

export function isBlob(value: object): value is Blob {
  return typeof Blob === 'function' && value instanceof Blob
}

/** The map that a blob is stored as. */
export function blobForm(blob: Blob): Record<string, unknown> {
  const bytes = contents.get(blob)
  if (!bytes) throw new UnreadBlob(blob)
  const { name, lastModified } = blob as Partial<File>
  return { [BLOB]: blob.type, bytes, name, lastModified }
}

/** The blob of such a map; the map itself where it is something else. */
export function readBlob(form: Record<string, any>): unknown {
  const { [BLOB]: type, bytes, name, lastModified } = form
  if (typeof type !== 'string' || !(bytes instanceof Uint8Array) || typeof Blob !== 'function') return form
  const parts = [bytes as Uint8Array<ArrayBuffer>]
  return name === undefined || typeof File !== 'function' ? new Blob(parts, { type }) : new File(parts, name, { type, lastModified })
}
