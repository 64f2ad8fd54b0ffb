// Errors: the same names in every language, see docs/errors.md. The engine sends a name and fields; the words are made here.

/** Names of errors, stable: what a program looks at. */
export type ErrorCode =
  | 'Conflict'
  | 'TransactionTooOld'
  | 'NoLongerKept'
  | 'HistoryForked'
  | 'Deadlock'
  | 'Locked'
  | 'TransactionTimeout'
  | 'StorageFull'
  | 'PermissionDenied'
  | 'StorageFailed'
  | 'Poisoned'
  | 'OutcomeUnknown'
  | 'Corrupt'
  | 'NotADatabase'
  | 'Unsupported'
  | 'WrongKey'
  | 'Closed'
  | 'ReadOnly'
  | 'LimitExceeded'
  | 'SnapshotExpired'
  | 'LimitReached'
  | 'TableTypeMismatch'
  | 'NoSuchTable'
  | 'SchemaMismatch'
  | 'SchemaTooNew'
  | 'DuplicateKey'
  | 'InvalidDocument'
  | 'Unexpected'
  | 'Invalid'
  | 'DatabaseBusy'
  | 'DatabaseExists'
  | 'StorageUnavailable'
  | 'WorkerFailed'
  | 'PolicyForbids'
  | 'PartMissing'
  | 'Restarted'
  | 'CommitUnknown'
  | 'OwnerUnresponsive'
  | 'NoOwner'
  | 'OtherVersion'

type Field = string | number | bigint

const RETRYABLE: ReadonlySet<string> = new Set([
  'Conflict',
  'TransactionTooOld',
  'Deadlock',
  'Locked',
  'LimitReached',
  'DatabaseBusy',
  'PartMissing',
  'Restarted',
  'OwnerUnresponsive',
])

type Words = (fields: readonly Field[]) => string

// In workers errors have no words: their pages make them.
const MESSAGES: { [code: string]: Words } = IN_WORKER ? {} : words()

/** Words of errors that only what is fetched later can meet, which brings them along. */
export function addWords(words: Partial<Record<LaterCode, Words>>): void {
  Object.assign(MESSAGES, words)
}

type LaterCode = 'WrongKey' | 'TransactionTooOld' | 'Deadlock' | 'TransactionTimeout' | 'DatabaseExists'

function words(): Record<Exclude<ErrorCode, LaterCode>, Words> {
  return {
    Conflict: ([what]) => `another transaction changed ${what} meanwhile; run this transaction again`,
    NoLongerKept: ([oldest, asked]) =>
      `commit ${asked} is no longer in the log, which begins with commit ${oldest}; read the tables anew, then follow the changes since that snapshot, and keep more of the log (feedRetentionBytes)`,
    HistoryForked: ([sequence, common]) =>
      `commit ${sequence} is not part of this database's history${common === undefined ? '' : `, which left that one after commit ${common}`}; read the tables anew, then follow the changes since that snapshot`,
    Locked: ([holder]) => `the database is open in ${holder}; close it there first`,
    StorageFull: ([message, , , usage, quota]) =>
      `${message}${quota === undefined ? '' : ` (${usage} of the ${quota} bytes that this site may keep are in use)`}; free some space, then write again: nothing acknowledged was lost`,
    PermissionDenied: ([message]) => `${message}; check what this page or program may do`,
    StorageFailed: ([message, offset, length]) => `${message} (${length} bytes at ${offset})`,
    Poisoned: ([cause]) => `writing has stopped (${cause}); reopen the database to go on`,
    OutcomeUnknown: ([cause]) =>
      `it is not known whether this commit is durable (${cause}); reopen the database to learn`,
    Corrupt: ([what, offset]) => `the database is damaged at ${offset}: ${what}; restore it from a backup`,
    NotADatabase: ([found]) => `not a Lightning DB database: ${found}`,
    Unsupported: ([what, remedy]) => `${what} is not supported by this build; ${remedy}`,
    Closed: () => 'the database is closed',
    ReadOnly: () => 'the database is read-only',
    LimitExceeded: ([what, value, limit]) => `${what} is ${value}, more than the limit of ${limit}`,
    SnapshotExpired: ([what]) => String(what),
    LimitReached: ([what]) => String(what),
    TableTypeMismatch: ([table, recorded, requested]) =>
      `table '${table}' holds ${recorded}, not ${requested}; open it with the types it was made with`,
    NoSuchTable: ([table]) => `there is no table '${table}'`,
    SchemaMismatch: ([collection, what]) => `collection '${collection}': ${what}`,
    SchemaTooNew: ([collection, found, known]) =>
      `the documents of collection '${collection}' have version ${found}, this application knows versions up to ${known}; use a newer version of it`,
    DuplicateKey: ([collection, index, value, key]) =>
      `collection '${collection}', unique index '${index}': ${value} is the value of document ${key} already`,
    InvalidDocument: ([collection, field, key, what]) =>
      `collection '${collection}'${key ? `, document ${key}` : ''}${field ? `, field '${field}'` : ''}: ${what}`,
    Unexpected: ([what, key]) => `${what}: ${key}`,
    Invalid: ([what]) => String(what),
    DatabaseBusy: ([name]) =>
      `the database '${name}' is open elsewhere, and was not closed within 5 seconds; close it there, or try again`,
    StorageUnavailable: ([storage, why]) => `there is no storage '${storage}' here: ${why}`,
    WorkerFailed: ([url, why]) =>
      `the worker ${url} did not start: ${why}; let your bundler copy it, or give open() a 'worker'`,
    PolicyForbids: ([what, directive]) =>
      `the Content Security Policy of this page forbids ${what}; allow it with ${directive}`,
    PartMissing: ([url, why]) =>
      `a part of the engine did not come from ${url}: ${why}; let your bundler copy it, or give open() the whole engine as 'wasm'`,
    Restarted: ([why]) => `the engine stopped (${why}) and was opened again; what was not committed is lost, the rest is there`,
    CommitUnknown: () =>
      'the tab that had the files open did not answer, and nobody else can: look whether this was committed before you write it again',
    OwnerUnresponsive: ([name]) =>
      `another tab has the database '${name}' open and does not answer: it may be frozen or busy; close it, or try again`,
    OtherVersion: ([name, which]) =>
      `another tab has the database '${name}' open with another version of this package; reload ${which === 'older' ? 'or close that' : 'this'} tab`,
    NoOwner: ([name]) =>
      `no tab has the database '${name}' open, and it cannot be opened here; open it in a tab, or in a service worker, where it is in IndexedDB, by 'lightning-db/service-worker'`,
  }
}

/** What went wrong: `code` is stable, the message says where and what to do. */
export class LightningError extends Error {
  override readonly name = 'LightningError'
  readonly code: ErrorCode
  /** Whether the same call may succeed when it is simply made again. */
  readonly retryable: boolean
  /** What the message was made of, in the order of `docs/errors.md`. */
  readonly fields: readonly Field[]

  constructor(code: ErrorCode | string, fields: readonly Field[] = [], options?: ErrorOptions) {
    const message = MESSAGES[code]
    super(message ? message(fields) : `${code}: ${fields.join(': ')}`, options)
    this.code = code as ErrorCode
    this.retryable = RETRYABLE.has(code)
    this.fields = fields
  }
}
