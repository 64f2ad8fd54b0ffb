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

/** Increments a counter until told to stop, by updates and by transactions: `window.counted` says how often that was done. */
window.count = () => {
  window.counted = { sure: 0, failed: [] }
  window.counting = true
  const lane = async increment => {
    while (counting) {
      try {
        await increment()
        counted.sure++
      } catch (error) {
        if (!error.retryable) counted.failed.push(`${error.code}: ${error.message}`)
      }
    }
  }
  const update = () => items.update('counter', { count: lightning.increment(1) })
  const transaction = () =>
    db.transaction(async tx => {
      const { count, ...rest } = await tx.collection(items).get('counter')
      await tx.collection(items).put({ ...rest, count: count + 1 })
    })
  window.countDone = Promise.all([lane(update), lane(update), lane(transaction)]).then(() => counted)
}

/** Answers of an owner in another tab do not come through. */
window.isDeaf = false
/** What this tab asks has no numbers. */
window.isNumberless = false

const { set } = Object.getOwnPropertyDescriptor(BroadcastChannel.prototype, 'onmessage')
Object.defineProperty(BroadcastChannel.prototype, 'onmessage', {
  set(listener) {
    set.call(this, event => (isDeaf && event.data instanceof Uint8Array ? undefined : listener(event)))
  },
})
for (const { prototype } of [BroadcastChannel, Worker]) {
  const post = prototype.postMessage
  prototype.postMessage = function (message, ...rest) {
    post.call(this, isNumberless && message instanceof Uint8Array ? numberless(message) : message, ...rest)
  }
}

/** A request whose operations have no numbers: where they were given it asks for nothing. */
function numberless(request) {
  const without = request.slice()
  const view = new DataView(without.buffer)
  for (let at = 1; at < without.length; at += 4 + view.getUint32(at, true)) {
    if (without[at + 4] === 0x07) without.set([0x05, 0], at + 4)
  }
  return without
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
