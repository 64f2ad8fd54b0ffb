// What `index.js` is: what applications import, and what `later.js` has from it. The two refer to each other, so that everything
// is fetched once, and nothing that a page does not need.

export * from './index.js'

export { onAbort, raced } from './abort.js'
export { Reader, Writer, decode } from './cbor.js'
export { Documents } from './collection.js'
export { LightningError, addWords } from './errors.js'
export { missing } from './fetching.js'
export { current, held, numberOf, release, writeOperation } from './link.js'
export { hasLocks, ownerLock } from './messages.js'
export { Own } from './own.js'
export { changeList } from './query.js'
export { ISOLATION, begin, scopeOf } from './scope.js'
export { TableRows } from './table.js'
