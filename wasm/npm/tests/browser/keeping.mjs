// What a page keeps: backups and what is restored of them on each storage, blobs, keys that are made, how much is kept and what
// happens when that is too much, and calls that are given up.

import * as assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { browser, launch, newProfile, storages, testPage } from './driver.mjs'
import { serve } from './server.mjs'
import * as tally from '../tally.mjs'

const { address, close } = await serve()
const hasOpfs = storages.includes('opfs')
let { profile, context, page } = await start()

async function start() {
  const profile = newProfile()
  const context = await launch(profile)
  return { profile, context, page: await testPage(context, address) }
}

async function end() {
  await context.close()
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
}

/** What happens in the page is to give this. */
function test(what, expected, run, argument) {
  return tally.test(what, async () => {
    assert.deepEqual(await (run ? page.evaluate(run, argument) : argument()), expected)
  })
}

try {
  for (const storage of storages) {
    await test(`${storage}: a backup is restored, over nothing that is there`, [true, [10_000, 10_000, []], 'DatabaseBusy', 'DatabaseExists', 1, 10_001], async storage => {
      const { open, restore, destroy } = window.lightning
      const database = await open('kept', { storage, durability: 'relaxed' })
      const documents = database.collection('documents', { key: 'id', indexes: { half: 'half' } })
      await documents.putMany(Array.from({ length: 10_000 }, (_, id) => ({ id, half: id >> 1, text: `document ${id}` })))
      await database.table('long').put('value', new Uint8Array(200_000).fill(7))
      const backup = database.backup()
      await documents.put({ id: -1 })
      const blob = await new Response(backup).blob()
      await restore('copy', blob, { storage })
      const copy = await open('copy')
      const found = await copy.collection('documents').count()
      const { documents: verified, problems } = await copy.verify()
      const long = await copy.table('long').get('value')
      await copy.collection('documents').put({ id: 20_000 })
      const busy = await restore('copy', blob, { overwrite: true }).catch(error => error.code)
      await copy.close()
      const refused = await restore('copy', blob).catch(error => error.code)
      // As a stream, over what is there.
      const one = await open('one', { storage })
      await one.collection('documents', { key: 'id' }).put({ id: 1 })
      await restore('copy', one.backup(), { overwrite: true })
      await one.close()
      const over = await open('copy', { create: false })
      const now = await over.collection('documents').count()
      await over.close()
      const before = await documents.count()
      await database.close()
      for (const name of ['kept', 'copy', 'one']) await destroy(name)
      return [long.length === 200_000 && copy.storage === storage, [found, verified, problems], busy, refused, now, before]
    }, storage)
    await test(
      `${storage}: what is no whole database is refused, and what was there stays`,
      ['NotADatabase', 'NotADatabase', 'Corrupt', 'Corrupt', 'Corrupt', 'Invalid', 'the wire is cut', 'enough', 1, ['whole'], []],
      async storage => {
        const { open, restore, destroy, list } = window.lightning
        const other = await open('other', { storage })
        const documents = other.collection('documents', { key: 'id' })
        await documents.putMany(Array.from({ length: 2000 }, (_, id) => ({ id, text: `document ${id}` })))
        const good = new Uint8Array(await new Response(other.backup()).arrayBuffer())
        await other.close()
        await destroy('other')
        const whole = await open('whole', { storage })
        await whole.collection('documents', { key: 'id' }).put({ id: 1 })
        await whole.close()
        const changed = good.slice()
        changed[8300] ^= 1
        const cut = new ReadableStream({ start: controller => controller.error(new Error('the wire is cut')) })
        const codes = []
        for (const source of [new Uint8Array(0), new TextEncoder().encode('another file '.repeat(5000)), good.slice(0, 9000), good.slice(0, -1), changed, 'text', cut]) {
          codes.push(await restore('whole', source, { storage, overwrite: true }).catch(error => error.code ?? error.message))
        }
        const endless = new ReadableStream({
          async pull(controller) {
            await new Promise(resolve => setTimeout(resolve, 1))
            controller.enqueue(new Uint8Array(10))
          },
        })
        const signal = AbortSignal.timeout(20)
        codes.push(await restore('whole', endless, { overwrite: true, signal }).catch(error => (error === signal.reason ? 'enough' : String(error))))
        const again = await open('whole', { create: false })
        codes.push(await again.collection('documents').count())
        await again.close()
        codes.push(await list())
        await restore('none', changed, { storage }).catch(() => {})
        await destroy('whole')
        return [...codes, await list()]
      },
      storage,
    )
    await test(`${storage}: backups go on while others write, and end with their database`, [true, 0, 'Closed', 'enough'], async storage => {
      const { open, destroy } = window.lightning
      const database = await open('ended', { storage, durability: 'relaxed' })
      const documents = database.collection('documents', { key: 'id' })
      await documents.putMany(Array.from({ length: 20_000 }, (_, id) => ({ id, text: crypto.randomUUID() })))
      const given = database.backup().getReader()
      await given.read()
      const { value } = await given.read()
      await given.cancel()
      const controller = new AbortController()
      const aborted = database.backup({ signal: controller.signal }).getReader()
      await aborted.read()
      controller.abort('enough')
      const why = await aborted.read().catch(error => error)
      await documents.put({ id: -1 })
      await database.compact()
      const { snapshots } = await database.stats()
      const left = database.backup().getReader()
      await left.read()
      await database.close()
      const rest = async () => {
        while (!(await left.read()).done);
      }
      const code = await rest().catch(error => error.code)
      await destroy('ended')
      return [value.length > 50_000 || value.length, snapshots, code, why]
    }, storage)
    await test(`${storage}: blobs and files come back, and keys are made`, ['image/png', [1, 2, 3], 'notes.txt', 'text', [1, 2], true], async storage => {
      const { open, destroy, Uuid } = window.lightning
      const database = await open('blobs', { storage })
      const documents = database.collection('documents', { key: 'id', autoKey: 'increment' })
      const photo = new Blob([Uint8Array.of(1, 2, 3)], { type: 'image/png' })
      const first = await documents.insert({ photo, file: new File(['text'], 'notes.txt', { type: 'text/plain' }) })
      const second = await documents.put({})
      const found = await documents.get(1)
      const uuid = await database.collection('events', { key: 'id', autoKey: 'uuid' }).insert({})
      const bytes = [...new Uint8Array(await found.photo.arrayBuffer())]
      const given = [found.photo.type, bytes, found.file.name, await found.file.text(), [first, second], uuid instanceof Uuid]
      await database.close()
      await destroy('blobs')
      return given
    }, storage)
  }
  await test('a backup for a tab that goes is given up, and one by a tab that goes fails', [[1, 0], 'Restarted', 'whole'], undefined, async () => {
    const begin = async name => {
      window.database = await window.lightning.open(name)
      window.documents = database.collection('documents', { key: 'id' })
    }
    const read = async () => {
      window.reader = database.backup().getReader()
      await reader.read()
    }
    const rest = async () => {
      try {
        while (!(await reader.read()).done);
        return 'whole'
      } catch (error) {
        return error.code
      }
    }
    const snapshots = async () => {
      // Another state, so that those before it are older.
      await documents.put({ id: -1, at: Math.random() })
      await database.compact()
      return (await database.stats()).snapshots
    }
    const pages = []
    for (let tab = 0; tab < 3; tab++) {
      pages.push(await testPage(context, address))
      await pages[tab].evaluate(begin, 'tabs')
    }
    await pages[0].evaluate(() => documents.putMany(Array.from({ length: 30_000 }, (_, id) => ({ id, text: crypto.randomUUID() }))))
    await pages[1].evaluate(read)
    const held = [await pages[0].evaluate(snapshots)]
    await pages[1].close()
    for (let turn = 0; turn < 100 && held[1] !== 0; turn++) held[1] = await pages[0].evaluate(snapshots)
    await pages[2].evaluate(read)
    await pages[0].close()
    const code = await pages[2].evaluate(rest)
    await pages[2].evaluate(read)
    const again = await pages[2].evaluate(rest)
    await pages[2].evaluate(() => database.close().then(() => lightning.destroy('tabs')))
    await pages[2].close()
    return [held, code, again]
  })
  if (hasOpfs) await test('a backup of one storage is restored to the other, and read without promises', [3, 3, 'opfs'], async () => {
    const { open, restore, destroy } = window.lightning
    const database = await open('from', { storage: 'indexeddb' })
    await database.collection('documents', { key: 'id' }).putMany([{ id: 1 }, { id: 2 }, { id: 3 }])
    await restore('to', database.backup(), { storage: 'opfs' })
    await database.close()
    const other = await open('to')
    const count = await other.collection('documents').count()
    await restore('back', other.backup(), { storage: 'indexeddb' })
    await other.close()
    const back = await open('back')
    const again = await back.collection('documents').count()
    await back.close()
    for (const name of ['from', 'to', 'back']) await destroy(name)
    return [count, again, other.storage]
  })
  if (hasOpfs) await test('without promises, too, a backup is restored', [['DatabaseExists', 'Corrupt', 'restored', 'DatabaseBusy'], 3000, []], async () => {
    const worker = new Worker(new URL('./sync-restore-worker.mjs', location.href), { type: 'module' })
    const given = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = event => reject(new Error(event.message))
      worker.postMessage('without')
    })
    worker.terminate()
    await window.lightning.destroy('without')
    return given
  })
  if (hasOpfs) await test('a browser that moves nothing over what is there restores, too, also when that was not finished', [[1, 1, 2], ['careful']], async () => {
    const { open, restore, destroy, list } = window.lightning
    const worker = () => new Worker(new URL('./careful-worker.mjs', location.href), { type: 'module' })
    const made = async count => {
      const database = await open('careful', { worker })
      await database.collection('documents', { key: 'id' }).putMany(Array.from({ length: count }, (_, id) => ({ id })))
      const backup = await new Response(database.backup()).blob()
      await database.close()
      return backup
    }
    const counted = async () => {
      const database = await open('careful', { worker, create: false })
      const count = await database.collection('documents').count()
      await database.close()
      return count
    }
    const one = await made(1)
    const two = await made(2)
    await restore('careful', one, { overwrite: true, worker })
    const counts = [await counted()]
    const directory = await navigator.storage.getDirectory()
    // As it is left between the two steps.
    await directory.removeEntry('careful.ldb-log').catch(() => {})
    await (await directory.getFileHandle('careful.ldb')).move('careful.ldb-replaced')
    counts.push(await counted())
    await restore('careful', two, { overwrite: true, worker })
    counts.push(await counted())
    const names = await list()
    await destroy('careful')
    return [counts, names]
  })
  for (const [storage, missing] of hasOpfs ? [['opfs', 'indexeddb'], ['indexeddb', 'opfs']] : []) {
    await test(
      `${storage}: what a restore left whose tab is gone is taken away by whatever comes next, and never while one goes on`,
      [[], [true, []], [false, []], [missing, []], ['restored', []], ['kept'], true, []],
      async ([storage, missing]) => {
        const { open, restore, destroy, list } = window.lightning
        const directory = await navigator.storage.getDirectory()
        const opened = name => new Promise(resolve => (indexedDB.open(name).onsuccess = ({ target }) => resolve(target.result.close())))
        const leave = async name => {
          if (storage === 'opfs') {
            for (const ending of ['.ldb-restoring', '.ldb-log-restoring']) await directory.getFileHandle(name + ending, { create: true })
          } else {
            await opened(`lightning-db-restoring:${name}`)
            await opened(`lightning-db:${name}`)
          }
        }
        const left = async () => {
          const names = []
          for await (const name of directory.keys()) if (name.endsWith('-restoring')) names.push(name)
          for (const { name } of await indexedDB.databases()) if (name.startsWith('lightning-db-restoring:')) names.push(name)
          return names
        }
        const given = []
        await leave('left')
        given.push(await list())
        given.push([(await left()).length === 0, await list()])
        await leave('left')
        given.push([await destroy('left'), await left()])
        await leave('left')
        const database = await open('left', { storage: missing })
        await database.collection('documents', { key: 'id' }).put({ id: 1 })
        given.push([database.storage, await left()])
        const backup = await new Response(database.backup()).blob()
        await database.close()
        await destroy('left')
        await leave('left')
        await restore('left', backup, { storage })
        const restored = await open('left', { create: false })
        given.push([(await restored.collection('documents').count()) === 1 && restored.storage === storage ? 'restored' : 'lost', await left()])
        await restored.close()
        // A database that is there is none that was left.
        await leave('left')
        const kept = (await list()).map(name => (name === 'left' ? 'kept' : name))
        given.push(kept)
        // While another tab holds the name, as one does that restores.
        await leave('other')
        await navigator.locks.request('lightning-db:other', async () => {
          await list()
          given.push((await left()).some(name => name.includes('other')))
        })
        for (const name of ['left', 'other']) await destroy(name)
        given.push([...(await left()), ...(await list())])
        return given
      },
      [storage, missing],
    )
  }
  await test('a database is opened for whoever waits for it', ['enough', 'enough', 'opened'], async () => {
    const { open, destroy } = window.lightning
    const before = await open('waited', { signal: AbortSignal.abort('enough') }).catch(error => error)
    const controller = new AbortController()
    const opening = open('waited', { signal: controller.signal })
    controller.abort('enough')
    const meanwhile = await opening.catch(error => error)
    const database = await open('waited', { signal: new AbortController().signal, persist: true })
    await database.close()
    await destroy('waited')
    return [before, meanwhile, 'opened']
  })
  await test('how much is kept, of how much', [true, true, ['boolean', 'boolean']], async () => {
    const { open, destroy } = window.lightning
    const database = await open('usage')
    await database.collection('documents', { key: 'id' }).put({ id: 1 })
    const { usage, quota, persisted } = await database.usage()
    const asked = await database.persist()
    await database.close()
    await destroy('usage')
    // Debian's WebKit tells neither.
    const tellsQuota = 'estimate' in (navigator.storage ?? {})
    return [usage > 1000, tellsQuota ? quota > usage : quota === undefined, [typeof persisted, typeof asked]]
  })
  await test('a browser that keeps nothing says so', ['StorageUnavailable', true], async () => {
    const worker = () => new Worker(new URL('./nowhere-worker.mjs', location.href), { type: 'module' })
    const error = await window.lightning.open('nowhere', { worker }).catch(error => error)
    return [error.code, error.message.includes('IndexedDB')]
  })
  // Only Chromium can be told how much room there is.
  // A transaction of IndexedDB that fails leaves what is in memory ahead of what is kept: then only opening again tells.
  const full = browser === 'chromium' ? [['opfs', 'StorageFull'], ['indexeddb', 'OutcomeUnknown']] : []
  for (const [storage, code] of full) {
    // A browser remembers for a while how much room there was.
    await end()
    ;({ profile, context, page } = await start())
    const session = await context.newCDPSession(page)
    const { origin } = new URL(address)
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 4_000_000 })
    await test(`${storage}: more than may be kept is an error that says so`, [code, true, true], async storage => {
      const { open } = window.lightning
      const database = await open('full', { storage })
      const documents = database.collection('documents', { key: 'id' })
      let error
      let acknowledged = 0
      const text = Array.from({ length: 100_000 }, () => String.fromCharCode(33 + Math.random() * 90)).join('')
      while (!error && acknowledged < 200) {
        error = await documents.put({ id: acknowledged, text }).then(() => undefined, error => error)
        if (!error) acknowledged++
      }
      await database.close().catch(() => {})
      const [, , , usage, quota] = error.fields
      const isTold = storage === 'indexeddb' || (usage > 100_000 && quota > usage && error.message.includes(`${usage} of the ${quota} bytes`))
      window.acknowledgedBefore = acknowledged
      return [error.code, error.message.includes('QuotaExceededError') || error.message, isTold || error.fields]
    }, storage)
    await session.send('Storage.overrideQuotaForOrigin', { origin })
    await test(`${storage}: what was acknowledged before is there`, [true, []], async () => {
      const { open, destroy } = window.lightning
      const again = await open('full', { create: false })
      const kept = await again.collection('documents').count()
      const { problems } = await again.verify()
      await again.close()
      await destroy('full')
      return [(window.acknowledgedBefore > 3 && kept >= window.acknowledgedBefore) || [kept, window.acknowledgedBefore], problems]
    })
  }
} finally {
  await end()
  close()
}
tally.conclude()
