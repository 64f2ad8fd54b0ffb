// The page's script that comes when something is first asked of it.

import { LightningError } from './errors.js'

type Later = typeof import('./later.js')

/** Where it is noted that the pages of this origin use collections: they fetch what those need while they open a database. */
const NOTE = 'lightning-db-collections'

let here: Later | undefined
let coming: Promise<Later> | undefined

/**
 * It itself where it has come, so that nothing waits.
 * @param forCollection noted for the next time
 */
export function laterScript(forCollection = false): Promise<Later> | Later {
  if (forCollection) noted(storage => storage.setItem(NOTE, ''))
  if (here || coming) return here ?? coming!
  coming = import('./later.js').then(
    come => (here = come),
    error => {
      coming = undefined
      throw missing('later.js', error)
    },
  )
  // Whoever waits for it hears of it.
  coming.catch(() => {})
  return coming
}

/** A script that did not come. */
export function missing(name: string, error: unknown): LightningError {
  return new LightningError('PartMissing', [`${name} beside ${import.meta.url}`, (error as Error).message], { cause: error })
}

/** Whether collections were used here before; then this script is fetched, too. */
export function hadCollections(): boolean {
  const had = noted(storage => storage.getItem(NOTE)) === ''
  if (had) void laterScript()
  return had
}

/** Undefined where nothing may be noted. */
function noted<R>(look: (storage: Storage) => R): R | undefined {
  try {
    return look(localStorage)
  } catch {
    return undefined
  }
}
