// What both entries of the package give beside `open`.

export type { Abortable } from './abort.js'
export type { BackupOptions, BackupProgress } from './backup.js'
export { Timestamp, Uuid, type Value } from './cbor.js'
export {
  Collection,
  type CollectionInfo,
  Documents,
  type IndexOptions,
  type Key,
  type Migrations,
  type PutOptions,
  type Schema,
  type WholeMigration,
} from './collection.js'
export type { Database, DatabaseOf, OpenOptions, Stats, StorageName, SyncDatabase, Usage, Verified } from './database.js'
export { type ErrorCode, LightningError } from './errors.js'
export { type Change, type Commit, Feed, type Since, storedDocument, storedExpiry } from './feed.js'
export type { Given, Mode } from './link.js'
export type { Rows, Stop } from './live.js'
export {
  AsyncQuery,
  type Changes,
  type Condition,
  type Explanation,
  type Filter,
  type Page,
  type Path,
  Query,
  type SyncQuery,
  all,
  any,
  field,
  increment,
  merge,
  not,
  remove,
} from './query.js'
export type { BackupSource, RestoreOptions } from './restoring.js'
export type { Encryption, EncryptionKey, KeyProvider } from './secret.js'
export { type Range, Scan, Table, type TableTypes } from './table.js'
export type { Snapshot, Transaction, TransactionOptions } from './transaction.js'
