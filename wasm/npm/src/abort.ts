// Calls that are given up when a signal says so.

import type { Given, Link, Mode } from './link.js'

export interface Abortable {
  /** Aborted, what is under way fails with its reason. */
  signal?: AbortSignal | undefined
}

/** Runs `aborted` when the signal says so, unless what is given back was called before: what is over hears nothing any more. */
export function onAbort(signal: AbortSignal | undefined, aborted: () => void): () => void {
  signal?.addEventListener('abort', aborted)
  return () => signal?.removeEventListener('abort', aborted)
}

/**
 * What `run` gives, or the signal's reason if that comes first. Aborted before, nothing is run; what comes when nobody waits for it
 * any more is given to `late`.
 */
export function raced<T>(signal: AbortSignal | undefined, run: () => T | PromiseLike<T>, late?: (value: T) => void): Promise<T> {
  if (!signal) return Promise.resolve(run())
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const running = Promise.resolve(run())
    const end = onAbort(signal, () => {
      reject(signal.reason)
      if (late) running.then(late, () => {})
    })
    running.finally(end).then(resolve, reject)
  })
}

/** The same where nothing may be waited for, too. */
export function abortable<M extends Mode, T>(
  link: Link<M>,
  signal: AbortSignal | undefined,
  run: () => Given<M, T>,
  late?: (value: T) => void,
): Given<M, T> {
  if (!signal) return run()
  if (WAITS_ALONE || link.mode === 'async') return raced(signal, run as () => Promise<T>, late) as Given<M, T>
  signal.throwIfAborted()
  return run()
}
