// One of several tabs: `window.lightning`, and what tests do in many of them.

import * as lightning from '../../dist/index.js'

window.lightning = lightning

/** Opens `name` as `window.db`, with a collection `window.items`. */
window.begin = async (name, options = {}) => {
  window.db = await lightning.open(name, options)
  window.items = db.collection('items', { key: 'id', indexes: { group: 'group' } })
  window.told = []
  return db.storage
}

/** Follows all items; `window.told` has what was heard. */
window.follow = () => {
  items.query().watch(rows => {
    told.push({
      ids: rows.map(row => row.id),
      added: rows.added.map(row => row.id),
      changed: rows.changed.map(row => row.id),
      removed: rows.removed.map(row => row.id),
    })
  })
}

/** Increments a counter until told to stop: `window.counted` says how often that is sure, and how often it is not known. */
window.count = () => {
  window.counted = { sure: 0, unknown: 0, failed: [] }
  window.counting = true
  window.countDone = (async () => {
    while (counting) {
      try {
        await items.update('counter', { count: lightning.increment(1) })
        counted.sure++
      } catch (error) {
        if (error.code === 'CommitUnknown') counted.unknown++
        else if (!error.retryable) counted.failed.push(`${error.code}: ${error.message}`)
      }
    }
    return counted
  })()
}

/** What a call fails with. */
window.codeOf = call =>
  call().then(
    () => 'it did not fail',
    error => error.code ?? String(error),
  )

/** Whether this tab's worker has the files open. */
window.isOwner = async name => {
  const { held } = await navigator.locks.query()
  const mine = held.find(lock => lock.name === `lightning-db:${name}`)
  const here = await new Promise(resolve => {
    const probe = `probe ${crypto.randomUUID()}`
    void navigator.locks.request(probe, async () => {
      const { held } = await navigator.locks.query()
      resolve(held.find(lock => lock.name === probe).clientId)
    })
  })
  return mine?.clientId === here
}

if (location.search !== '?away' && sessionStorage.getItem('back')) {
  // This page was not kept.
  await begin(...JSON.parse(sessionStorage.getItem('back')))
  await items.put({ id: 'back' })
}

window.ready = true
