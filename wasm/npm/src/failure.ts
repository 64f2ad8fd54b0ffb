// Errors as they cross: a name, whether it is retryable, and fields.

import { Reader } from './cbor.js'
import { LightningError } from './errors.js'

/** The error that the frame of a failure holds. */
export function readFailure(body: Uint8Array): LightningError {
  const [name, , ...fields] = new Reader(body).value()
  return new LightningError(name, fields)
}
