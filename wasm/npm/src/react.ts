// Live results in React.

import { useCallback, useRef, useSyncExternalStore } from 'react'
import type { LightningError, Query, Rows, Stop } from 'lightning-db'

/** What a query has given so far. */
export interface Live<T> {
  /** Empty until the first rows come, and on a server. */
  readonly rows: readonly T[]
  readonly isLoading: boolean
  /** Why there will be no more rows. */
  readonly error: LightningError | undefined
}

/** A query, whatever its documents are. */
interface Watched<T> {
  watch(render: (rows: Rows<T>) => unknown, failed?: (error: LightningError) => void): Stop
  readonly identity: Query<T>['identity']
}

const LOADING: Live<never> = { rows: [], isLoading: true, error: undefined }
const loading = (): Live<never> => LOADING

/**
 * The rows of a query, now and after each commit that changes them:
 * `const { rows } = useQuery(people.where('age').from(18).orderBy('name'))`. The query may be made anew in each rendering:
 * it is asked again only when it asks for something else. While there is none, as before the database is open, give undefined.
 */
export function useQuery<T>(query: Watched<T> | undefined): Live<T> {
  const newest = useRef(query)
  newest.current = query
  const asks = query && identity(query)
  const state = useRef<{ asks: string | undefined; live: Live<T> }>({ asks, live: LOADING })
  if (state.current.asks !== asks) state.current = { asks, live: LOADING }

  const subscribe = useCallback(
    (changed: () => void) => {
      const watched = newest.current
      if (!watched) return () => {}
      const set = (live: Live<T>) => {
        if (state.current.asks !== asks) return
        state.current.live = live
        changed()
      }
      return watched.watch(
        (rows: Rows<T>) => set({ rows, isLoading: false, error: undefined }),
        error => set({ rows: state.current.live.rows, isLoading: false, error }),
      )
    },
    [asks],
  )
  return useSyncExternalStore(subscribe, () => state.current.live, loading)
}

const collections = new WeakMap<object, number>()
let known = 0

/** The same for queries that ask the same of the same collection. */
function identity(query: Watched<unknown>): string {
  const { source, form } = query.identity
  let number = collections.get(source)
  if (number === undefined) collections.set(source, (number = ++known))
  return `${number} ${JSON.stringify(form, plain)}`
}

/** What JSON does not have, told apart. */
function plain(this: Record<string, unknown>, name: string, value: unknown): unknown {
  const given = this[name]
  if (given instanceof Date) return { date: given.getTime() }
  if (typeof given === 'bigint') return { bigint: String(given) }
  if (given instanceof Uint8Array) return { bytes: [...given] }
  return value
}
