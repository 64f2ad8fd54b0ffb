// Private windows: databases are where the browser lets them be, and go with the window.

import * as assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { browser, launch, newProfile, testPage } from './driver.mjs'
import { serve } from './server.mjs'
import { conclude, fail, test } from '../tally.mjs'

/** Firefox refuses the origin private file system in private windows, WebKit has none here. */
const STORAGE = { chromium: 'opfs', firefox: 'indexeddb', webkit: 'indexeddb' }[browser]

const { address, close } = await serve()
const profile = newProfile()

/** In another window each time. */
async function inWindow(isPrivate, run) {
  const context = await launch(profile, { isPrivate })
  try {
    return await run(await testPage(context, address), context)
  } finally {
    await context.close()
  }
}

const opened = options =>
  window.lightning.open('private', options).then(async database => {
    const items = database.collection('items', { key: 'id' })
    const before = (await items.query().toArray()).map(({ id }) => id)
    await items.put({ id: before.length + 1 })
    await database.close()
    return [database.storage, before]
  }, error => [error.code, error.message])

try {
  await test(`${browser}: a private window keeps a database as long as it is there`, () =>
    inWindow(true, async (page, context) => {
      assert.deepEqual(await page.evaluate(opened), [STORAGE, []])
      await page.reload()
      await page.waitForFunction(() => !!window.tests)
      assert.deepEqual(await page.evaluate(opened), [STORAGE, [1]])
      const other = await testPage(context, address)
      assert.deepEqual(await other.evaluate(opened), [STORAGE, [1, 2]])
      const [code] = await other.evaluate(opened, { storage: STORAGE === 'opfs' ? 'indexeddb' : 'opfs' })
      assert.equal(code, 'StorageUnavailable')
    }),
  )
  await test(`${browser}: and then nothing is left of it`, () =>
    inWindow(false, async page => {
      assert.deepEqual(await page.evaluate(() => window.lightning.list()), [])
    }),
  )
} catch (error) {
  fail('private windows', error)
} finally {
  close()
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
}
conclude()
