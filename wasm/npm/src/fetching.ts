// The page's script that comes when something is first asked of it.

import { LightningError } from './errors.js'

type Later = typeof import('./later.js')

let here: Later | undefined
let coming: Promise<Later> | undefined

/** It itself where it has come, so that nothing waits. */
export function laterScript(): Promise<Later> | Later {
  if (here || coming) return here ?? coming!
  coming = import('./later.js').then(
    come => (here = come),
    error => {
      coming = undefined
      throw new LightningError('PartMissing', [`later.js beside ${import.meta.url}`, (error as Error).message], { cause: error })
    },
  )
  // Whoever waits for it hears of it.
  coming.catch(() => {})
  return coming
}
