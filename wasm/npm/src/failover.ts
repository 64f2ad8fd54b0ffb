// What becomes of operations whose owner went away before it answered.

import { Operation } from './protocol.js'

/**
 * `again`: asking twice is as asking once. `unknown`: it may have been committed. `over`: it belongs to something that the
 * owner held and is gone, so nothing was committed. `forget`: nobody waits for it.
 */
export type Fate = 'again' | 'unknown' | 'over' | 'forget'

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

const OF_HANDLES: ReadonlySet<number> = new Set([Operation.Next, Operation.NextChanges, Operation.Migrate, Operation.NextBackup])

/**
 * @param operation its number
 * @param first the first byte of its arguments: of those that have a scope, 0 for the database as it is now
 * @param untouched the owner is known not to have begun it
 */
export function fate(operation: number, first: number, untouched: boolean): Fate {
  const write = untouched ? 'again' : 'unknown'
  if (SCOPED.has(operation)) return first === 0 ? 'again' : 'over'
  if (SCOPED_WRITES.has(operation)) return first === 0 ? write : 'over'
  if (WRITES.has(operation)) return write
  if (operation === Operation.Commit) return untouched ? 'over' : 'unknown'
  if (operation === Operation.Release || operation === Operation.Heard) return 'forget'
  return OF_HANDLES.has(operation) ? 'over' : 'again'
}
