// The databases of an origin as a whole: made of backups, deleted, listed.

import { raced } from './abort.js'
import { LightningError } from './errors.js'
import { missing } from './fetching.js'
import * as idb from './idb.js'
import { sweep, sweepAll } from './leftovers.js'
import { hasLocks, ownerLock } from './messages.js'
import * as opfs from './opfs.js'
import { Own } from './own.js'
import type { Plan } from './peer.js'
import { type BackupSource, read } from './restoring.js'
import type { Starting } from './starting.js'

/** A database that is being closed is waited for so long before it is deleted. */
const BUSY_MS = 5000

/** Makes the database of a backup. */
export async function restore(plan: Plan, source: BackupSource, overwrite: boolean, signal?: AbortSignal): Promise<void> {
  if (plan.options.encryption !== undefined && plan.start) {
    const { encryptedPlan } = await import('./encryption.js').catch(error => {
      throw missing('encryption.js', error)
    })
    const encrypted = encryptedPlan(plan)
    return restore(encrypted, source, overwrite, signal).catch(error => {
      throw encrypted.thrown() ?? error
    })
  }
  const { name, options: opening, shared } = plan
  if (!plan.start) throw new LightningError('NoOwner', [name])
  let blob = source as Blob
  if (!(source instanceof Blob)) {
    // Each piece on its own is the browser's to keep, on disk where there are many.
    const pieces: Blob[] = []
    await read(source, signal, piece => pieces.push(new Blob([piece])))
    blob = new Blob(pieces)
  }
  await alone(name, async () => {
    const message = { open: name, options: opening, shared, hidden: false, usual: false, restore: { source: blob, overwrite } }
    let starting: Starting | undefined
    try {
      const begun = (worker: Starting) => {
        starting = worker
        // Another one, begun after this was given up.
        if (signal?.aborted) worker.terminate()
      }
      await raced(signal, () => Own.open(plan, message, undefined, begun))
    } finally {
      starting?.terminate()
    }
  })
}

/** Deletes a database; false when there is none. */
export async function destroy(name: string): Promise<boolean> {
  return alone(name, async () => {
    await sweep(name)
    const removed = await Promise.all([(await opfs.unreachable()) ? false : opfs.removeFiles(name), idb.remove(name)])
    return removed.some(was => was)
  })
}

/** Runs something while nobody has the database open. */
async function alone<R>(name: string, run: () => Promise<R>): Promise<R> {
  if (!hasLocks()) return run()
  let begun = false
  const owning = navigator.locks.request(ownerLock(name), { signal: AbortSignal.timeout(BUSY_MS) }, () => {
    begun = true
    return run()
  })
  return owning.catch(error => {
    if (begun || (error as DOMException).name !== 'TimeoutError') throw error
    throw new LightningError('DatabaseBusy', [name], { cause: error })
  }) as Promise<R>
}

/** The names of the databases of this origin. */
export async function list(): Promise<string[]> {
  await sweepAll()
  const [files, stores] = await Promise.all([(await opfs.unreachable()) ? [] : opfs.listNames(), idb.listNames()])
  return [...new Set([...files, ...stores])].sort()
}
