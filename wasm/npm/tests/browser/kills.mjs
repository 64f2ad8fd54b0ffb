// Kills a browser while a page writes, opens its profile again, and looks for everything that was acknowledged: on each storage, durable
// and relaxed. The number of kills of each is the first argument.

import * as fs from 'node:fs'
import { launchToBeKilled, newProfile, storages, testPage } from './driver.mjs'
import { serve } from './server.mjs'
import { conclude, fail, pass } from '../tally.mjs'

const KILLS = Number(process.argv[2] ?? 1)
const ENOUGH = 200
const TIME_MS = 60_000

const profile = newProfile()
const { address, close } = await serve()
let running
try {
  for (const storage of storages) {
    for (const durability of ['sync', 'relaxed']) {
      const name = `killed ${storage} ${durability}`
      const acknowledged = new Set()
      let begin = 0
      for (let kill = 0; kill < KILLS; kill++) {
        running ??= await launchToBeKilled(profile)
        const enough = acknowledged.size + ENOUGH * (kill + 1)
        const page = await testPage(running, address)
        const { written, told } = whenWritten(acknowledged, enough)
        await page.exposeFunction('acknowledged', told)
        await page.evaluate(args => window.tests.writeUntilKilled(...args), [name, { storage, durability }, begin])
        await written
        await running.kill()
        running = undefined
        running = await launchToBeKilled(profile)
        const reader = await testPage(running, address)
        const found = await reader.evaluate(name => window.tests.survivors(name), name)
        const there = new Set(found.ids)
        const lost = [...acknowledged].filter(id => !there.has(id))
        begin = found.ids.reduce((last, id) => Math.max(last, id), 0) + 1
        const isWhole = lost.length === 0 && found.problems.length === 0 && found.storage === storage
        const what = `${name}: ${acknowledged.size} acknowledged, ${there.size} there, ${lost.length} lost`
        if (isWhole) pass(what)
        else fail(what, found.problems.join('; '))
        await reader.close()
      }
    }
  }
} catch (error) {
  fail('kills', error)
} finally {
  await running?.kill()
  close()
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
}
conclude()

/** Takes what is acknowledged; comes when there is enough of it. */
function whenWritten(acknowledged, enough) {
  let told
  const written = new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${acknowledged.size} writes were acknowledged in time`)), TIME_MS)
    told = id => {
      acknowledged.add(id)
      if (acknowledged.size < enough) return
      clearTimeout(late)
      resolve()
    }
  })
  return { written, told }
}
