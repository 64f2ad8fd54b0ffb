// Several tabs on one database: real pages that come and go. Says in the end how many tests there were.

import * as fs from 'node:fs'
import assert from 'node:assert/strict'
import { browser, crash, launch, newProfile, processOf, storages } from './driver.mjs'
import { serve } from './server.mjs'
import { conclude, count, test as tally } from '../tally.mjs'

const LIMIT_MS = 60_000

const { address, close } = await serve()
const profile = newProfile()
const context = await launch(profile, { ignoreDefaultArgs: ['--disable-back-forward-cache'] })

/** The tabs of one test on one database. */
class Tabs {
  pages = []
  /** Processes that stand still. */
  stopped = new Set()

  constructor(name, storage) {
    this.name = name
    this.storage = storage
  }

  /** A new tab that has the database open. */
  async open() {
    const page = await this.blank()
    await this.begin(page)
    return page
  }

  /** A new tab that has not. */
  async blank() {
    const page = await context.newPage()
    this.pages.push(page)
    page.on('pageerror', error => console.log(`  page: ${error.stack ?? error}`))
    await page.goto(`${address}/tests/browser/tabs.html`)
    await page.waitForFunction(() => !!window.ready)
    return page
  }

  begin(page) {
    return page.evaluate(([name, storage]) => begin(name, { storage }), [this.name, this.storage])
  }

  isOwner(page) {
    return page.evaluate(name => isOwner(name), this.name)
  }

  /** Stops the process of a page; gives what lets it go on. */
  async stop(page) {
    const id = await processOf(context, page)
    process.kill(id, 'SIGSTOP')
    this.stopped.add(id)
    return () => this.goOn()
  }

  goOn() {
    for (const id of this.stopped) process.kill(id, 'SIGCONT')
    this.stopped.clear()
  }

  /** Waits until one of these owns the files. */
  async owner(pages) {
    for (;;) {
      for (const page of pages) if (await this.isOwner(page)) return page
    }
  }

  async end() {
    this.goOn()
    // Of one that has crashed some browsers say nothing more.
    const closed = Promise.all(this.pages.map(page => page.close().catch(() => {})))
    await Promise.race([closed, new Promise(resolve => setTimeout(resolve, 2000))])
  }
}

const put = (page, ...documents) => page.evaluate(documents => Promise.all(documents.map(document => items.put(document))), documents)
const get = (page, id) => page.evaluate(id => items.get(id), id)
const heard = (page, ids) =>
  page.waitForFunction(ids => JSON.stringify(told.at(-1)?.ids) === JSON.stringify(ids), ids, { timeout: 20_000 })

/**
 * Reloads a page as it does itself. Asked of the browser in the moment in which it changes to the next document, which is when
 * the reload before has been committed, it refuses: 'Not attached to an active page'.
 */
async function reload(page, until) {
  if (browser !== 'chromium') return page.reload()
  const loaded = page.waitForNavigation({ waitUntil: until })
  await page.evaluate(() => void location.reload()).catch(error => {
    if (!error.message.includes('Execution context was destroyed')) throw error
  })
  await loaded
}

/** Goes back as the user does. Asked of Chromium's driver it waits for a document to load, and one that was kept does not. */
async function back(page) {
  if (browser === 'chromium') await page.evaluate(() => history.back())
  else await page.goBack()
}

/** The counter has every increment that was acknowledged, once, and no other. */
async function counted(page, counts) {
  const { count } = await get(page, 'counter')
  assert.deepEqual(counts.flatMap(each => each.failed), [])
  assert.equal(count, counts.reduce((sum, { sure }) => sum + sure, 0))
  assert.ok(count > 0)
}

/** What a counter comes to that is increased in one tab while the owner in the other goes away with the answer. */
async function increasedOnce(tabs, isNumberless) {
  const [a, b] = [await tabs.open(), await tabs.open()]
  await put(a, { id: 'counter', count: 0 })
  await b.evaluate(async isNumberless => {
    const sums = db.table('sums', { value: 'i64' })
    await Promise.all([items.get('counter'), sums.get('one')])
    Object.assign(window, { isDeaf: true, isNumberless })
    window.asked = [items.update('counter', { count: lightning.increment(1) }), sums.increment('one', 5).then(Number)]
  }, isNumberless)
  const done = () => a.evaluate(async () => [(await items.get('counter')).count, Number(await db.table('sums', { value: 'i64' }).get('one'))])
  while (!(await done()).every(Boolean));
  assert.deepEqual(await done(), [1, 5])
  await crash(context, a)
  const answers = await b.evaluate(() => Promise.all(asked))
  return [...answers, (await get(b, 'counter')).count]
}

/** Lets all of them count until `done` has come. */
async function counting(pages, done) {
  await Promise.all(pages.map(page => page.evaluate(() => count())))
  const some = n => Promise.all(pages.map(page => page.waitForFunction(n => counted.sure > n, n)))
  await some(5)
  await done()
  const before = await Promise.all(pages.map(page => page.evaluate(() => counted.sure)))
  await Promise.all(pages.map((page, at) => page.waitForFunction(n => counted.sure > n + 5, before[at])))
  return Promise.all(pages.map(page => page.evaluate(() => ((counting = false), countDone))))
}

const tests = {
  async 'two tabs read, write and watch each other'(tabs) {
    const [a, b] = [await tabs.open(), await tabs.open()]
    await a.evaluate(() => follow())
    await b.evaluate(() => follow())
    await put(a, { id: 1 })
    assert.deepEqual(await get(b, 1), { id: 1 })
    await put(b, { id: 2 })
    assert.deepEqual(await get(a, 2), { id: 2 })
    await heard(a, [1, 2])
    await heard(b, [1, 2])
    assert.deepEqual([await tabs.isOwner(a), await tabs.isOwner(b)], [true, false])
  },

  async 'five tabs write at once'(tabs) {
    const pages = [await tabs.open()]
    pages.push(...(await Promise.all([1, 2, 3, 4].map(() => tabs.open()))))
    await Promise.all(
      pages.map((page, tab) => put(page, ...Array.from({ length: 50 }, (_, at) => ({ id: `${tab} ${at}`, group: tab })))),
    )
    for (const page of pages) assert.equal(await page.evaluate(() => items.count()), 250)
  },

  async 'tabs that open at the same moment find one owner'(tabs) {
    const pages = await Promise.all([1, 2, 3, 4, 5].map(() => tabs.blank()))
    await Promise.all(pages.map(page => tabs.begin(page)))
    const owners = await Promise.all(pages.map(page => tabs.isOwner(page)))
    assert.equal(owners.filter(owns => owns).length, 1)
    await Promise.all(pages.map((page, id) => put(page, { id })))
    assert.equal(await pages[3].evaluate(() => items.count()), 5)
  },

  async 'a database that its owner closes goes on in another tab'(tabs) {
    const [a, b] = [await tabs.open(), await tabs.open()]
    await put(a, { id: 1 })
    await b.evaluate(() => follow())
    await heard(b, [1])
    await a.evaluate(() => db.close())
    await put(b, { id: 2 })
    await heard(b, [1, 2])
    assert.deepEqual(await b.evaluate(() => told.at(-1).added), [2])
    assert.ok(await tabs.isOwner(b))
    assert.equal(await a.evaluate(() => codeOf(() => items.get(1))), 'Closed')
  },

  async 'closing the owning tab loses no commit and repeats none'(tabs) {
    const owner = await tabs.open()
    await put(owner, { id: 'counter', count: 0 })
    const others = [await tabs.open(), await tabs.open()]
    const counts = await counting(others, async () => {
      await owner.close()
      await tabs.owner(others)
    })
    await counted(others[0], counts)
  },

  async 'a crash of the owning tab loses no commit and repeats none'(tabs) {
    const owner = await tabs.open()
    await put(owner, { id: 'counter', count: 0 })
    const others = [await tabs.open(), await tabs.open()]
    const counts = await counting(others, async () => {
      await crash(context, owner)
      await tabs.owner(others)
    })
    await counted(others[1], counts)
  },

  async 'what was done before the owner crashed, and not answered, is answered by the next and not done again'(tabs) {
    assert.deepEqual(await increasedOnce(tabs, false), [true, 5, 1])
  },

  async 'without numbers it would be done again'(tabs) {
    assert.deepEqual(await increasedOnce(tabs, true), [true, 10, 2])
  },

  async 'owners that crash or close one after the other lose no commit and repeat none'(tabs) {
    const owners = []
    for (let owner = 0; owner < 6; owner++) owners.push(await tabs.open())
    await put(owners[0], { id: 'counter', count: 0 })
    const others = [await tabs.open(), await tabs.open(), await tabs.open()]
    const counts = await counting(others, async () => {
      for (const [at, owner] of owners.entries()) {
        // They stand in line as they came.
        await tabs.owner([owner])
        const some = await Promise.all(others.map(page => page.evaluate(() => counted.sure)))
        await Promise.race(others.map((page, tab) => page.waitForFunction(n => counted.sure > n, some[tab] + ((at * 7) % 5))))
        await (at % 3 === 2 ? owner.close() : crash(context, owner))
      }
      await tabs.owner(others)
    })
    await counted(others[0], counts)
  },

  async 'live results and feeds go on with what is different when the owner crashes'(tabs) {
    const [a, b] = [await tabs.open(), await tabs.open()]
    await a.evaluate(() => items.put({ id: 1, picture: new Blob(['a picture']) }))
    await put(a, { id: 2 })
    await b.evaluate(() => {
      follow()
      window.fed = []
      window.feed = db.changes()
      void (async () => {
        for await (const commit of feed) fed.push(commit.sequence)
      })()
    })
    await heard(b, [1, 2])
    await put(a, { id: 3 })
    await heard(b, [1, 2, 3])
    await b.waitForFunction(() => fed.length === 1)
    await crash(context, a)
    // What is written before anyone knows of the crash may be lost with it.
    await tabs.owner([b])
    await put(b, { id: 4 })
    await heard(b, [1, 2, 3, 4])
    const told = await b.evaluate(() => told)
    assert.deepEqual(told.map(({ added, changed, removed }) => ({ added, changed, removed })), [
      { added: [1, 2], changed: [], removed: [] },
      { added: [3], changed: [], removed: [] },
      { added: [4], changed: [], removed: [] },
    ])
    await b.waitForFunction(() => fed.length === 2)
  },

  async 'a transaction runs again, and what a lost owner held fails as retryable'(tabs) {
    const [a, b] = [await tabs.open(), await tabs.open()]
    await put(a, { id: 1, n: 1 })
    await b.evaluate(async () => {
      window.snapshot = await db.snapshot()
      window.open = await db.begin()
      window.runs = 0
      window.go = undefined
      window.transaction = db.transaction(async tx => {
        runs++
        const { n } = await tx.collection(items).get(1)
        if (runs === 1) await new Promise(resolve => (window.go = resolve))
        await tx.collection(items).put({ id: 1, n: n + 1 })
      })
    })
    await b.waitForFunction(() => window.go)
    await crash(context, a)
    await tabs.owner([b])
    assert.deepEqual(await get(b, 1), { id: 1, n: 1 })
    assert.equal(await b.evaluate(async () => (go(), await transaction, runs)), 2)
    assert.deepEqual(await get(b, 1), { id: 1, n: 2 })
    assert.equal(await b.evaluate(() => codeOf(() => snapshot.collection(items).get(1))), 'Restarted')
    assert.equal(await b.evaluate(() => codeOf(() => open.collection(items).put({ id: 9 }))), 'Restarted')
  },

  async 'what a tab held is released when it is gone'(tabs) {
    const [a, b] = [await tabs.open(), await tabs.open()]
    await b.evaluate(async () => {
      await items.put({ id: 1 })
      window.snapshot = await db.snapshot()
      await items.put({ id: 2 })
      await db.compact()
    })
    assert.equal(await a.evaluate(async () => (await db.stats()).snapshots), 1)
    await crash(context, b)
    await a.waitForFunction(async () => (await db.stats()).snapshots === 0)
  },

  async 'an owner about to be frozen gives the files up, and takes part again when it goes on'(tabs) {
    const [a, b] = [await tabs.open(), await tabs.open()]
    await put(a, { id: 1 })
    // Pages that are driven from here count as looked at, and Chromium freezes none of those: its event, and then a process
    // that stands still.
    await a.evaluate(() => document.dispatchEvent(new Event('freeze')))
    await tabs.owner([b])
    await put(b, { id: 2 })
    const goOn = await tabs.stop(a)
    await put(b, { id: 3 })
    goOn()
    await a.evaluate(() => document.dispatchEvent(new Event('resume')))
    assert.deepEqual(await get(a, 3), { id: 3 })
    await put(a, { id: 4 })
    assert.deepEqual(await get(b, 4), { id: 4 })
  },

  async 'an owner that stands still is told of, and nothing is lost when it goes on'(tabs) {
    const [a, b] = [await tabs.open(), await tabs.open()]
    await put(a, { id: 1 })
    const goOn = await tabs.stop(a)
    const [reading, writing] = await b.evaluate(() =>
      Promise.all([codeOf(() => items.get(1)), codeOf(() => items.put({ id: 2 }))]),
    )
    goOn()
    assert.deepEqual([reading, writing], ['OwnerUnresponsive', 'CommitUnknown'])
    await b.waitForFunction(() => items.get(1).then(() => true, () => false))
    await put(b, { id: 3 })
    assert.deepEqual(await get(a, 3), { id: 3 })
  },

  async 'a tab comes back from the back-forward cache'(tabs) {
    const a = await tabs.open()
    await a.evaluate(() => addEventListener('pageshow', event => (window.persisted = event.persisted)))
    await put(a, { id: 1 })
    await a.goto(`${address}/tests/browser/tabs.html?away`)
    await back(a)
    await a.waitForFunction(() => window.persisted === true)
    await put(a, { id: 2 })
    assert.deepEqual(await get(a, 1), { id: 1 })
    assert.ok(await tabs.isOwner(a))
  },

  async 'a tab that went away by a link leaves the files to another, and comes back'(tabs) {
    const [a, b] = [await tabs.open(), await tabs.open()]
    await b.evaluate(() => follow())
    await put(a, { id: 1 })
    // The browser may drop a page that it keeps when another wants its files; whatever comes back says so in the database.
    await a.evaluate(
      ([name, storage]) => {
        sessionStorage.setItem('back', JSON.stringify([name, { storage }]))
        addEventListener('pageshow', () => items.put({ id: 'back' }))
      },
      [tabs.name, tabs.storage],
    )
    await a.goto(`${address}/tests/browser/tabs.html?away`)
    await tabs.owner([b])
    await put(b, { id: 2 })
    await back(a)
    await heard(b, [1, 2, 'back'])
  },

  async 'a storm of reloads leaves everything that was acknowledged'(tabs) {
    const steady = await tabs.blank()
    const stormy = await tabs.open()
    await put(stormy, { id: 'counter', count: 0 })
    await tabs.begin(steady)
    const counts = await counting([steady], async () => {
      for (let round = 0; round < 8; round++) {
        await reload(stormy, round % 2 ? 'commit' : 'load')
        if (round % 3 !== 0) continue
        await stormy.waitForFunction(() => window.ready)
        await tabs.begin(stormy)
      }
    })
    await counted(steady, counts)
    await stormy.waitForFunction(() => window.ready)
    await tabs.begin(stormy)
    assert.equal((await get(stormy, 'counter')).count, (await get(steady, 'counter')).count)
  },

  async 'a tab that nobody looks at gives the files to one that is looked at'(tabs) {
    const [a, b] = [await tabs.open(), await tabs.open()]
    await put(a, { id: 1 })
    await a.evaluate(() => {
      Object.defineProperty(document, 'visibilityState', { value: 'hidden' })
      document.dispatchEvent(new Event('visibilitychange'))
    })
    await tabs.owner([b])
    await put(a, { id: 2 })
    assert.deepEqual(await get(b, 2), { id: 2 })
    assert.deepEqual(await get(a, 1), { id: 1 })
  },

  async 'a database opened twice in a page is open until both are closed'(tabs) {
    const a = await tabs.open()
    const codes = await a.evaluate(
      async ([name, storage]) => {
        const other = await lightning.open(name, { storage })
        const theirs = other.collection('items', { key: 'id' })
        await theirs.put({ id: 1 })
        await other.close()
        return [await codeOf(() => theirs.get(1)), (await items.get(1)).id]
      },
      [tabs.name, tabs.storage],
    )
    assert.deepEqual(codes, ['Closed', 1])
    assert.equal(await a.evaluate(async name => (await db.close(), lightning.destroy(name)), tabs.name), true)
  },

  async 'an engine that stops is started again'(tabs) {
    const [a, b] = [await tabs.blank(), await tabs.blank()]
    const open = page =>
      page.evaluate(
        ([name, storage]) =>
          begin(name, { storage, worker: () => new Worker(new URL(`stopping-worker.mjs#${name}`, location.href), { type: 'module' }) }),
        [tabs.name, tabs.storage],
      )
    await open(a)
    await open(b)
    await put(b, { id: 1 })
    const stop = () => a.evaluate(name => new BroadcastChannel(`stop ${name}`).postMessage('stop'), tabs.name)
    await stop()
    await put(a, { id: 2 }).catch(() => put(a, { id: 2 }))
    await put(b, { id: 3 }).catch(() => put(b, { id: 3 }))
    assert.deepEqual(await a.evaluate(async () => (await items.query().toArray()).map(({ id }) => id)), [1, 2, 3])
    assert.ok(await tabs.isOwner(a))
    await stop()
    await a.waitForFunction(async () => (await items.get(1).catch(() => 0))?.id === 1)
    await stop()
    // The third time in a minute it is another tab's turn.
    await tabs.owner([b])
    assert.equal(await a.evaluate(() => codeOf(() => items.get(1))), 'Restarted')
    assert.deepEqual(await get(b, 2), { id: 2 })
  },

  async 'a database that is open elsewhere is not deleted'(tabs) {
    const [a, b] = [await tabs.open(), await tabs.blank()]
    assert.equal(await b.evaluate(name => codeOf(() => lightning.destroy(name)), tabs.name), 'DatabaseBusy')
    await put(a, { id: 1 })
    assert.equal(await b.evaluate(name => codeOf(() => lightning.open(name, { storage: name.startsWith('opfs') ? 'indexeddb' : 'opfs' })), tabs.name), 'StorageUnavailable')
    await a.evaluate(() => db.close())
    assert.equal(await b.evaluate(name => lightning.destroy(name), tabs.name), true)
  },
}

const noCrash = "WebKit's driver ends when a page crashes"
/** What a browser, or its driver, does not do. */
const UNLIKE = {
  firefox: {
    'a tab comes back from the back-forward cache': 'it keeps no page that has a database open; such a page is loaded again',
  },
  webkit: {
    'a crash of the owning tab loses no commit and repeats none': noCrash,
    'what was done before the owner crashed, and not answered, is answered by the next and not done again': noCrash,
    'without numbers it would be done again': noCrash,
    'owners that crash or close one after the other lose no commit and repeat none': noCrash,
    'live results and feeds go on with what is different when the owner crashes': noCrash,
    'a transaction runs again, and what a lost owner held fails as retryable': noCrash,
    'what a tab held is released when it is gone': noCrash,
  },
}

const only = process.argv[2]
try {
  for (const storage of storages) {
    for (const [what, test] of Object.entries(tests)) {
      if (only && !`${storage} ${what}`.includes(only)) continue
      const tabs = new Tabs(`${storage} ${count()}`, storage)
      const passesOver = UNLIKE[browser]?.[what]
      if (passesOver) {
        console.log(`passed over: ${storage}: ${what}: ${passesOver}`)
        continue
      }
      let limit
      const late = new Promise((_, reject) => (limit = setTimeout(reject, LIMIT_MS, new Error('it takes too long'))))
      await tally(`${storage}: ${what}`, () => Promise.race([test(tabs), late]))
      clearTimeout(limit)
      await tabs.end()
    }
  }
} finally {
  await context.close().catch(() => {})
  close()
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
}
conclude()
process.exit()
