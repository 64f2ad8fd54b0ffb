// Errors as they cross: a name, whether it is retryable, and fields.

import type { Reader } from './cbor.js'
import { LightningError } from './errors.js'

/** The error that the frame of a failure holds. */
export function readFailure(reader: Reader): LightningError {
  const [name, , ...fields] = reader.value()
  return new LightningError(name, fields)
}
