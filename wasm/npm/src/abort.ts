// Calls that are given up when a signal says so.

import type { Given, Link, Mode } from './link.js'

export interface Abortable {
  /** Aborted, what is under way fails with its reason. */
  signal?: AbortSignal | undefined
}

/** What `run` gives, or the signal's reason if that comes first. Aborted before, nothing is run. */
export function raced<T>(signal: AbortSignal | undefined, run: () => T | PromiseLike<T>): Promise<T> {
  if (!signal) return Promise.resolve(run())
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort)
    Promise.resolve(run())
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort))
  })
}

/** The same where nothing may be waited for, too. */
export function abortable<M extends Mode, T>(link: Link<M>, signal: AbortSignal | undefined, run: () => Given<M, T>): Given<M, T> {
  if (!signal) return run()
  if (link.mode === 'async') return raced(signal, run as () => Promise<T>) as Given<M, T>
  signal.throwIfAborted()
  return run()
}
