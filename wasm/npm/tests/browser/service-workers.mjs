// A service worker and databases: it is served by a tab, opens what is in IndexedDB by itself, or is told that nobody has it open.

import * as assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { browser, launch, newProfile, storages, testPage } from './driver.mjs'
import { serve } from './server.mjs'
import * as tally from '../tally.mjs'

const { address, close } = await serve()
const profile = newProfile()
const context = await launch(profile)
const page = await testPage(context, address)

/** What happens in the page is to give this. */
function test(what, expected, run, argument) {
  return tally.test(`${browser}: ${what}`, async () => {
    assert.deepEqual(await page.evaluate(run, argument), expected)
  })
}

try {
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('./service-worker.mjs', { type: 'module' })
    const { active } = await navigator.serviceWorker.ready
    window.ask = (name, request = {}) =>
      new Promise(resolve => {
        const { port1, port2 } = new MessageChannel()
        port1.onmessage = ({ data }) => resolve(data)
        active.postMessage({ name, ...request }, [port2])
      })
  })
  for (const storage of storages) {
    await test(`${storage}: it joins the tab that has it open`, [{ storage, ids: [1] }, { storage, ids: [1, 2] }, [1, 2]], async storage => {
      const { open, destroy } = window.lightning
      const database = await open('joined', { storage })
      const items = database.collection('items', { key: 'id' })
      await items.put({ id: 1 })
      const answers = [await ask('joined'), await ask('joined', { put: { id: 2 } })]
      const ids = (await items.query().toArray()).map(({ id }) => id)
      await ask('joined', { close: true })
      await database.close()
      await destroy('joined')
      return [...answers, ids]
    }, storage)
  }
  await test('one that is encrypted is served by the tab that has it open, to whoever has the key', ['NoOwner', { storage: 'indexeddb', ids: [1] }, 'WrongKey', 'WrongKey'], async () => {
    const { open, destroy } = window.lightning
    const [encryption, other] = [1, 2].map(byte => ({ key: new Uint8Array(32).fill(byte) }))
    const before = await ask('sealed', { options: { encryption, storage: 'indexeddb' } })
    const database = await open('sealed', { storage: 'indexeddb', encryption })
    await database.collection('items', { key: 'id' }).put({ id: 1 })
    const given = [before, await ask('sealed', { options: { encryption } })]
    await ask('sealed', { close: true })
    given.push(await ask('sealed', { options: { encryption: other } }), await ask('sealed'))
    await ask('sealed', { close: true })
    await database.close()
    await destroy('sealed')
    return given
  })
  await test('it opens what is in IndexedDB, and lets a tab have it', [{ storage: 'indexeddb', ids: [1, 2] }, [1, 2], true, [1, 2, 3, 4], [1, 2, 3, 4, 5], true], async () => {
    const { open, destroy } = window.lightning
    const made = await open('here', { storage: 'indexeddb' })
    await made.collection('items', { key: 'id' }).put({ id: 1 })
    await made.close()
    const first = await ask('here', { put: { id: 2 } })
    // It is served by the service worker, and has the files itself a little later.
    const database = await open('here')
    const items = database.collection('items', { key: 'id' })
    const ids = async () => (await items.query().toArray()).map(({ id }) => id)
    const served = await ids()
    const owner = async () => (await navigator.locks.query()).held.find(({ name }) => name === 'lightning-db:here')?.clientId
    const before = await owner()
    await items.put({ id: 3 })
    while ((await owner()) === before) await new Promise(resolve => setTimeout(resolve, 50))
    const { ids: there } = await ask('here', { put: { id: 4 } })
    await database.close()
    // And again the service worker's.
    const { ids: last } = await ask('here', { put: { id: 5 } })
    await ask('here', { close: true })
    return [first, served, before !== undefined, there, last, await destroy('here')]
  })
  await test('one that is not there is made where it is asked for alone', ['NoOwner', [], { storage: 'indexeddb', ids: [1] }, ['new'], 1], async () => {
    const { open, list, destroy } = window.lightning
    const answers = [await ask('new'), await list(), await ask('new', { options: { storage: 'indexeddb' }, put: { id: 1 } }), await list()]
    await ask('new', { close: true })
    const database = await open('new')
    const count = await database.collection('items', { key: 'id' }).count()
    await database.close()
    await destroy('new')
    return [...answers, count]
  })
  if (storages.includes('opfs')) {
    await test('one that only a tab can open is not made a second time', ['NoOwner', 'NoOwner', ['in opfs']], async () => {
      const { open, list, destroy } = window.lightning
      await (await open('in opfs')).close()
      const answers = [await ask('in opfs'), await ask('in opfs', { options: { storage: 'indexeddb' } }), await list()]
      await destroy('in opfs')
      return answers
    })
  }
} catch (error) {
  tally.fail('service workers', error)
} finally {
  await context.close()
  close()
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
}
tally.conclude()
