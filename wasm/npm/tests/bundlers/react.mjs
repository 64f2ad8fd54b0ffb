// The same page as `app.mjs`, in React: the number is put, and comes by a live result.

import { createElement, useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { open } from 'lightning-db'
import { useQuery } from 'lightning-db/react'

const opening = open('app').then(db => db.collection('counts', { key: 'id' }))
let renderings = 0

function App() {
  const [counts, setCounts] = useState()
  useEffect(() => void opening.then(setCounts, error => (window.outcome = { error: error.message })), [])
  // Made anew in each rendering, and asked once.
  const { rows, isLoading, error } = useQuery(counts?.where('id').equals('visits'))
  const [before, setBefore] = useState()
  useEffect(() => {
    if (isLoading || before !== undefined) return
    setBefore(rows[0]?.count ?? null)
    void counts.put({ id: 'visits', count: (rows[0]?.count ?? 0) + 1 })
  }, [isLoading])
  useEffect(() => {
    if (error) window.outcome = { error: error.message }
    if (before !== undefined && rows[0]?.count === (before ?? 0) + 1) {
      window.outcome = renderings < 20 ? { before, after: rows[0].count } : { error: `${renderings} renderings` }
    }
  })
  renderings++
  return createElement('p', null, isLoading ? '…' : String(rows[0]?.count))
}

createRoot(document.body.appendChild(document.createElement('div'))).render(createElement(App))
