// Brings the list of places into the database, a piece at a time. Each piece is one transaction with how far it goes, so
// that an import which was stopped, by whatever, goes on where it was.

import type { Place, Progress, Store } from './database'

const SOURCE = 'places.jsonl'
const PIECE_BYTES = 64 << 10

/** Imports until everything is there or `signal` says stop. Only one tab does. */
export async function importPlaces(store: Store, signal: AbortSignal, came: (places: Place[]) => void): Promise<void> {
  await navigator.locks.request('import of places', { ifAvailable: true }, lock => {
    if (lock) return run(store, signal, came)
  })
}

async function run({ db, places, progress }: Store, signal: AbortSignal, came: (places: Place[]) => void): Promise<void> {
  const before = await progress.get('import')
  if (before?.isDone) return
  let { bytes, places: count, total } = before ?? { bytes: 0, places: 0, total: 0 }
  // Not by a range: servers that compress get those wrong, and the browser's cache has what came before.
  const response = await fetch(SOURCE, { signal })
  if (!response.ok || !response.body) throw new Error(`the list of places could not be fetched: ${response.status}`)

  const state = (isDone: boolean): Progress => ({ id: 'import', bytes, places: count, total, isDone })
  for await (const piece of pieces(response.body, bytes)) {
    if (signal.aborted) return
    const lines = new TextDecoder().decode(piece).trimEnd().split('\n')
    // The first line says how many there are.
    if (bytes === 0) total = Number(lines.shift())
    const batch = lines.map(readPlace)
    bytes += piece.length
    count += batch.length
    await db.transaction(
      tx => {
        const [into, at] = [tx.collection(places), tx.collection(progress)]
        return Promise.all([...batch.map(place => into.put(place)), at.put(state(false))])
      },
      // What a crash of the machine takes away is fetched again.
      { durability: 'relaxed' },
    )
    came(batch)
  }
  await progress.put(state(true))
}

/** What comes, cut after whole lines into pieces of about the same length, after the first `skip` bytes. */
async function* pieces(stream: ReadableStream<Uint8Array>, skip: number): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader()
  let rest = new Uint8Array(0)
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      const skipped = Math.min(skip, value.length)
      skip -= skipped
      rest = join(rest, value.subarray(skipped))
      for (;;) {
        const end = rest.lastIndexOf(10, PIECE_BYTES - 1) + 1
        if (end === 0) break
        yield rest.subarray(0, end)
        rest = rest.subarray(end)
      }
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

function readPlace(line: string): Place {
  const [id, name, country, population, lat, lon] = JSON.parse(line) as [string, string, string, number, number, number]
  return { id, name, country, population, lat, lon }
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(first.length + second.length)
  joined.set(first)
  joined.set(second, first.length)
  return joined
}
