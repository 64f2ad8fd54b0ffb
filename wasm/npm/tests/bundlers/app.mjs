// The page of every project of `bundlers.mjs`.

import { open } from 'lightning-db'

try {
  const db = await open('app')
  const counts = db.collection('counts', { key: 'id' })
  const before = await counts.get('visits')
  await counts.put({ id: 'visits', count: (before?.count ?? 0) + 1 })
  const { count } = await counts.get('visits')
  window.outcome = { before: before?.count ?? null, after: count }
} catch (error) {
  window.outcome = { error: `${error.code}: ${error.message}` }
}
