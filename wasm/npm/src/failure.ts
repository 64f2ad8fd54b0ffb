// Errors as they cross: a name, whether it is retryable, and fields.

import type { Reader } from './cbor.js'
import { LightningError } from './errors.js'
import { eachFrame } from './protocol.js'

/** An error that says how much is in use, where that is what it is about. */
export async function withUsage(error: LightningError): Promise<LightningError> {
  const estimate = await globalThis.navigator?.storage?.estimate?.().catch(() => undefined)
  if (!estimate) return error
  return new LightningError(error.code, [...error.fields, estimate.usage ?? 0, estimate.quota ?? 0])
}

/** The error that the frame of a failure holds. */
export function readFailure(reader: Reader): LightningError {
  const [name, , ...fields] = reader.value()
  return new LightningError(name, fields)
}

/** What the engine threw, as an error. */
export function failure(thrown: unknown): unknown {
  if (!(thrown instanceof Uint8Array)) return thrown
  let error = new LightningError('Invalid', ['an error without a name'])
  eachFrame(thrown, (_, body) => (error = readFailure(body)))
  return error
}

/** Runs what opens an engine: what that throws is the frame of an error. */
export function opening<T>(open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw failure(error)
  }
}
