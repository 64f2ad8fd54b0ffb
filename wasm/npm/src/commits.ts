// What a feed gives.

import type { Value } from './cbor.js'
import type { Change, Commit } from './feed.js'
import { type Given, type Held, type Link, type Mode, current } from './link.js'
import { Operation } from './protocol.js'

const CHUNK_BYTES = 256 << 10

/** The commits behind those that a feed gave last, as many as belong into one answer; `reached` is told where the last of them is. */
export function nextCommits<M extends Mode>(link: Link<M>, feed: Held, reached: (position: Uint8Array) => void): Given<M, Commit[]> {
  return link.ask(
    Operation.NextChanges,
    false,
    writer => {
      writer.number(current(link, feed))
      writer.number(CHUNK_BYTES)
    },
    reader => {
      const commits = (reader.value() as [number, number, Uint8Array, unknown[][]][]).map(readCommit)
      const last = commits.at(-1)
      if (last) reached(last.position)
      return commits
    },
  )
}

function readCommit([sequence, ms, position, changes]: [number, number, Uint8Array, unknown[][]]): Commit {
  return {
    sequence,
    time: new Date(ms),
    position,
    changes: changes.map(([name, bytes, keyValue, value, isRange]): Change => {
      const [table, key, id] = [name as string, bytes as Uint8Array, keyValue as Value]
      if (isRange) return { kind: 'deleteRange', table, key, to: value as Uint8Array | null }
      if (value === undefined) return { kind: 'delete', table, key, id }
      return { kind: 'put', table, key, id, value: value as Uint8Array | null }
    }),
  }
}
