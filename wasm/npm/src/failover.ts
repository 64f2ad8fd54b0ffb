// What becomes of operations whose owner went away before it answered.

import { Operation } from './protocol.js'

/**
 * `again`: asking twice is as asking once. `outcome`: the next owner is asked whether it was committed, and what it gave.
 * `unknown`: it may have been committed, and nobody remembers. `over`: it belongs to something that the owner held and is
 * gone, so nothing was committed. `forget`: nobody waits for it.
 */
export type Fate = 'again' | 'outcome' | 'unknown' | 'over' | 'forget'

const SCOPED: ReadonlySet<number> = new Set([
  Operation.Get,
  Operation.GetMany,
  Operation.GetBy,
  Operation.Query,
  Operation.Count,
  Operation.Extreme,
  Operation.Explain,
  Operation.TableGet,
  Operation.TableGetMany,
  Operation.TableScan,
  Operation.TableCount,
])

const SCOPED_WRITES: ReadonlySet<number> = new Set([
  Operation.Put,
  Operation.Delete,
  Operation.Update,
  Operation.UpdateWhere,
  Operation.DeleteWhere,
  Operation.Swap,
  Operation.TablePut,
  Operation.TableDelete,
  Operation.TableDeleteRange,
  Operation.TableSwap,
  Operation.TableIncrement,
  Operation.FinishMigration,
])

const WRITES: ReadonlySet<number> = new Set([
  Operation.Batch,
  Operation.DropCollection,
  Operation.DropIndex,
  Operation.DropTable,
])

const OF_HANDLES: ReadonlySet<number> = new Set([Operation.Next, Operation.NextChanges, Operation.Migrate, Operation.NextBackup, Operation.AddKey, Operation.RemoveKey, Operation.Reencrypt])

/** Whether it commits by itself. What does is numbered, so that owners remember it. */
export function commits(operation: number, first: number): boolean {
  return (first === 0 && SCOPED_WRITES.has(operation)) || WRITES.has(operation) || operation === Operation.Commit
}

/**
 * @param operation its number
 * @param first the first byte of its arguments: of those that have a scope, 0 for the database as it is now
 * @param write what becomes of a write that the owner may have begun; undefined when it is known not to have
 */
export function fate(operation: number, first: number, write: 'again' | 'outcome' | 'unknown' | undefined): Fate {
  if (SCOPED.has(operation)) return first === 0 ? 'again' : 'over'
  if (SCOPED_WRITES.has(operation)) return first === 0 ? (write ?? 'again') : 'over'
  if (WRITES.has(operation)) return write ?? 'again'
  // What it would commit is gone with the owner.
  if (operation === Operation.Commit) return write === 'again' ? 'outcome' : (write ?? 'over')
  if (operation === Operation.Outcome) return write === 'unknown' ? write : 'again'
  if (operation === Operation.Release || operation === Operation.Heard) return 'forget'
  return OF_HANDLES.has(operation) ? 'over' : 'again'
}
