// Tabs with different versions of the package: none serves the other, and the one that is to be reloaded is named.

import * as assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { launch, newProfile, testPage } from './chromium.mjs'
import { serve } from './server.mjs'
import * as tally from '../tally.mjs'

const { address, close } = await serve()
const profile = newProfile()
const context = await launch(profile)

try {
  const page = await testPage(context, address)
  await page.evaluate(() => {
    /**
     * A tab of this version that wants to be served; gives the welcome, and what else it hears: until there is so much, however
     * long that takes, and until the owner has answered others 200 times.
     */
    window.joined = async (name, version, expected) => {
      const id = crypto.randomUUID()
      const [tabs, own] = [new BroadcastChannel(`lightning-db:${name}`), new BroadcastChannel(`lightning-db-client:${id}`)]
      const heard = []
      const first = new Promise(resolve => {
        own.onmessage = ({ data }) => {
          heard.push(data)
          resolve()
        }
      })
      tabs.postMessage({ join: id, hidden: false, version })
      await first
      // It is silent to whoever it does not serve. Channels are slower than the messages of a worker, on a busy machine much slower, and
      // what comes before the owner listens is lost: so it is asked again, as tabs do.
      for (let round = 0; round < (heard.length < expected ? 100_000 : 200); round++) {
        if (round % 2000 === 0) own.postMessage('ping')
        await window.database.table('notes').get('a')
      }
      own.close()
      tabs.close()
      return heard
    }
    /** Opens a database whose owner is a tab of this version; gives the error. */
    window.openedBeside = async (name, version) => {
      const [tabs, clients] = [new BroadcastChannel(`lightning-db:${name}`), []]
      tabs.onmessage = ({ data }) => {
        const client = new BroadcastChannel(`lightning-db-client:${data.join}`)
        clients.push(client)
        client.postMessage({ opened: { name, storage: 'opfs' }, owner: 'other', version })
      }
      let free
      const held = new Promise(resolve => (free = resolve))
      await new Promise(resolve => {
        void navigator.locks.request(`lightning-db:${name}`, () => (resolve(), held))
      })
      const { code, message, fields, retryable } = await window.lightning.open(name).catch(error => error)
      for (const channel of [tabs, ...clients]) channel.close()
      free()
      return { code, message, fields, retryable }
    }
  })

  await tally.test('an owner welcomes tabs of its version, and tells others which one it has', async () => {
    const [same, older, newer] = await page.evaluate(async () => {
      window.database = await window.lightning.open('versions')
      const all = []
      const version = (await window.joined('versions', 0, 1))[0].version
      for (const [difference, expected] of [[0, 2], [-1, 1], [1, 1]]) all.push(await window.joined('versions', version + difference, expected))
      await window.database.close()
      return all
    })
    assert.ok(same.length >= 2, `${same.length}`)
    assert.ok(same.slice(1).every(answer => answer === 'here'), same.join())
    for (const heard of [older, newer]) {
      assert.equal(heard.length, 1)
      assert.equal(heard[0].version, same[0].version)
      assert.equal(heard[0].opened.name, 'versions')
    }
  })

  for (const [version, which, remedy] of [[0, 'older', 'reload or close that tab'], [1_000_000, 'newer', 'reload this tab']]) {
    await tally.test(`a tab whose owner is ${which} hears so, and opens the database when that is gone`, async () => {
      const name = `owner ${which}`
      const error = await page.evaluate(([name, version]) => window.openedBeside(name, version), [name, version])
      assert.equal(error.code, 'OtherVersion')
      assert.deepEqual(error.fields, [name, which])
      assert.equal(error.retryable, false)
      assert.ok(error.message.endsWith(remedy), error.message)
      const found = await page.evaluate(async name => {
        const database = await window.lightning.open(name)
        await database.table('notes').put('a', 1)
        const found = await database.table('notes').get('a')
        await database.close()
        return found
      }, name)
      assert.equal(found, 1)
    })
  }
} finally {
  await context.close()
  close()
  fs.rmSync(profile, { recursive: true, force: true })
}
tally.conclude()
