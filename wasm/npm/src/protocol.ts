// How operations cross: the numbers and forms that `wasm/src/session.rs` and `wasm/src/wire.rs` describe.

import { Reader } from './cbor.js'

export enum Operation {
  OpenCollection = 0x01,
  OpenTable = 0x02,
  Begin = 0x03,
  Commit = 0x04,
  Release = 0x05,
  Next = 0x06,
  Number = 0x07,
  Collections = 0x08,
  DropCollection = 0x09,
  DropIndex = 0x0a,
  DropTable = 0x0b,
  NextMigration = 0x0c,
  Migrate = 0x0d,
  OlderCollection = 0x0e,
  FinishMigration = 0x0f,
  Get = 0x10,
  GetMany = 0x11,
  GetBy = 0x12,
  Query = 0x13,
  Count = 0x14,
  Extreme = 0x15,
  Explain = 0x16,
  Put = 0x20,
  Delete = 0x21,
  Update = 0x22,
  UpdateWhere = 0x23,
  DeleteWhere = 0x24,
  Swap = 0x25,
  Batch = 0x2f,
  TableGet = 0x30,
  TableGetMany = 0x31,
  TableScan = 0x32,
  TableCount = 0x33,
  TablePut = 0x38,
  TableDelete = 0x39,
  TableDeleteRange = 0x3a,
  TableSwap = 0x3b,
  TableIncrement = 0x3c,
  Watch = 0x40,
  Heard = 0x41,
  Changes = 0x42,
  NextChanges = 0x43,
  Stats = 0x50,
  Check = 0x51,
  Checkpoint = 0x52,
  Compact = 0x53,
  RemoveExpired = 0x54,
  Sync = 0x55,
  Outcome = 0x56,
  Backup = 0x58,
  NextBackup = 0x59,
  Unlock = 0x60,
  Keys = 0x61,
  AddKey = 0x62,
  RemoveKey = 0x63,
  Reencrypt = 0x64,
  Reencryption = 0x65,
  StepReencryption = 0x66,
}

export type OperationNumber = Operation

/** What a frame of a response holds. */
export enum Status {
  Answer = 0,
  Failure = 1,
  Event = 2,
}

/** The database as it is now; other scopes are snapshots and transactions. */
export const NOW = 0

/** A request begins with one byte: whether what it commits is to survive a power loss. */
export const RELAXED = 0
export const DURABLE = 1

/** Calls `hear` with the status of each frame of a response and what reads the rest of it. */
export function eachFrame(response: Uint8Array, hear: (status: number, body: Reader) => void): void {
  for (let at = 0; at < response.length; ) {
    const length = (response[at]! | (response[at + 1]! << 8) | (response[at + 2]! << 16) | (response[at + 3]! << 24)) >>> 0
    hear(response[at + 4]!, new Reader(response, at + 5))
    at += 4 + length
  }
}
