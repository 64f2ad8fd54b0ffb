// Blobs and files in documents: a map with the type and the bytes, as which other languages read them. See docs/file-format.md.

import { LightningError } from './errors.js'

/** The first member of such a map: the type. */
export const BLOB = '$blob'
/** No document is longer. */
const BYTES_MAX = 16 << 20

/** What was read, while that is written which needs it. */
let contents: Map<Blob, Uint8Array> | undefined
/** While it is looked for everything that is to be read. */
let unread: Set<Blob> | undefined
/** The bytes of blobs that were made of them; kept only where nothing can be read later. */
let kept: WeakMap<Blob, Uint8Array> | undefined

/** A blob is to be written whose bytes are not read yet. */
export class UnreadBlob extends LightningError {
  constructor() {
    super('Invalid', ['a Blob is read later, so without promises it cannot be stored; give its bytes'])
  }
}

/** Reads all blobs that `write` would write. */
export async function readAll(write: () => void): Promise<Map<Blob, Uint8Array>> {
  const blobs = await Promise.all(unreadOf(write).map(async blob => [blob, new Uint8Array(await blob.arrayBuffer())] as const))
  return new Map(blobs)
}

/** The same at once, where the platform can: in workers of browsers. */
export function readAllNow(write: () => void): Map<Blob, Uint8Array> {
  const { FileReaderSync } = globalThis as { FileReaderSync?: new () => { readAsArrayBuffer(blob: Blob): ArrayBuffer } }
  if (!FileReaderSync) throw new UnreadBlob()
  const reader = new FileReaderSync()
  return new Map(unreadOf(write).map(blob => [blob, new Uint8Array(reader.readAsArrayBuffer(blob))]))
}

/** Writes what needs these bytes. */
export function withBytes<R>(bytes: Map<Blob, Uint8Array>, write: () => R): R {
  contents = bytes
  try {
    return write()
  } finally {
    contents = undefined
  }
}

function unreadOf(write: () => void): Blob[] {
  unread = new Set()
  try {
    write()
    const blobs = [...unread]
    const long = blobs.find(({ size }) => size > BYTES_MAX)
    if (long) throw new LightningError('LimitExceeded', ['the length of a document in bytes', long.size, BYTES_MAX])
    return blobs
  } finally {
    unread = undefined
  }
}

/** From now on what blobs are made of is kept as long as they are, so that they can be written again without promises. */
export function keepBytes(): void {
  kept ??= new WeakMap()
}

export function isBlob(value: object): value is Blob {
  return typeof Blob === 'function' && value instanceof Blob
}

/** The map that a blob is stored as. */
export function blobForm(blob: Blob): Record<string, unknown> {
  const bytes = contents?.get(blob) ?? kept?.get(blob)
  if (!bytes) {
    if (contents) throw new LightningError('Invalid', ['it has another Blob at each look'])
    if (!unread) throw new UnreadBlob()
    unread.add(blob)
    return {}
  }
  const { name, lastModified } = blob as Partial<File>
  return { [BLOB]: blob.type, bytes, name, lastModified }
}

/** The blob of such a map; the map itself where it is something else. */
export function readBlob(form: Record<string, any>): unknown {
  const { [BLOB]: type, bytes, name, lastModified } = form
  if (typeof type !== 'string' || !(bytes instanceof Uint8Array) || typeof Blob !== 'function') return form
  const parts = [bytes as Uint8Array<ArrayBuffer>]
  const blob = name === undefined || typeof File !== 'function' ? new Blob(parts, { type }) : new File(parts, name, { type, lastModified })
  kept?.set(blob, bytes)
  return blob
}
