// Uses the built app as people do, in Chromium, and looks whether it does what it should:
// `node check.mjs FOLDER_FOR_SCREENSHOTS`. Where Chromium and playwright-core are is in the environment.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { createRequire } from 'node:module'
import { preview } from 'vite'

const DESKTOP = { width: 1280, height: 800 }
const PHONE = { width: 390, height: 844 }
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage']

const require = createRequire(path.join(process.env.LIGHTNING_PLAYWRIGHT, 'node_modules', 'from-here.js'))
const { chromium } = require('playwright-core')
const pictures = process.argv[2]
fs.mkdirSync(pictures, { recursive: true })

const server = await preview({ preview: { port: 0, host: 'localhost' }, logLevel: 'error' })
const address = server.resolvedUrls.local[0]
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-demo-'))
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.LIGHTNING_CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  viewport: DESKTOP,
  colorScheme: 'light',
  args: ARGUMENTS,
})
context.setDefaultTimeout(20_000)

let passed = 0
let failed = 0
const troubles = []
let page = context.pages()[0] ?? (await context.newPage())
listen(page)

/** One thing that the app should do. What follows depends on it, so the first failure is the last. */
async function check(what, run) {
  if (failed > 0) return
  try {
    await run()
    passed++
    console.log(`ok ${what}`)
  } catch (error) {
    failed++
    console.log(`test ${what} ... FAILED\n${error.stack}`)
    for (const trouble of troubles) console.log(`  page: ${trouble}`)
    console.log(await page.evaluate(() => document.body.innerText.slice(0, 600)).catch(() => ''))
    await page.screenshot({ path: path.join(pictures, 'failed.png') }).catch(() => {})
  }
}

function listen(page) {
  page.on('pageerror', error => troubles.push(`page error: ${error.message}`))
  page.on('console', message => message.type() === 'error' && troubles.push(`console: ${message.text()}`))
}

const text = selector => page.locator(selector).innerText()
const shown = what => page.waitForFunction(what, null, { timeout: 30_000 })
const picture = name => page.screenshot({ path: path.join(pictures, `${name}.png`) })

/** The same view on a desktop and a phone, light and dark. */
async function pictures4(name) {
  for (const [size, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize(viewport)
      await page.emulateMedia({ colorScheme })
      await page.waitForTimeout(150)
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      const widest = () => [...document.querySelectorAll('body *')].find(it => it.getBoundingClientRect().right > innerWidth)?.outerHTML.slice(0, 200)
      assert.ok(wide <= 0, `${name} is ${wide} pixels wider than a ${size}: ${await page.evaluate(widest)}`)
      await picture(`${name}-${size}-${colorScheme}`)
    }
  }
  await page.setViewportSize(DESKTOP)
  await page.emulateMedia({ colorScheme: 'light' })
}

await check('an empty database offers the import', async () => {
  await page.goto(address)
  await page.getByRole('button', { name: 'Import the places' }).waitFor()
  await picture('welcome')
})

await check('an import that is stopped goes on after a reload', async () => {
  await page.getByRole('button', { name: 'Import the places' }).click()
  await shown(() => document.querySelector('#progress').value > 0.2)
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByRole('button', { name: 'Go on importing' }).waitFor()
  const before = await page.evaluate(() => document.querySelector('#progress').value)
  assert.ok(before < 1, 'it was over before it could be stopped')
  await pictures4('import')
  await page.reload()
  await page.getByRole('button', { name: 'Go on importing' }).waitFor()
  assert.ok((await page.evaluate(() => document.querySelector('#progress').value)) >= before, 'places are lost')
  await page.getByRole('button', { name: 'Go on importing' }).click()
  await page.locator('#welcome').waitFor({ state: 'hidden', timeout: 60_000 })
  await shown(() => document.querySelector('#status').textContent.startsWith('138,398'))
  console.log(`  ${await text('#toast')}`)
})

await check('everything is there after a reload', async () => {
  await page.reload()
  await shown(() => document.querySelector('#status').textContent.startsWith('138,398'))
  await shown(() => document.querySelector('#list strong')?.textContent === 'Shanghai')
  await shown(() => document.querySelector('#population-0').textContent === '138,398')
  await pictures4('explore')
})

await check('names are found by their beginning, without case and accents', async () => {
  await page.keyboard.press('/')
  await page.keyboard.type('sao p')
  await shown(() => document.querySelector('#list strong')?.textContent === 'São Paulo')
  await shown(() => /^10 places in \d+ ms/.test(document.querySelector('#count').textContent))
  console.log(`  ${await text('#count')}`)
  await pictures4('search')
})

await check('filters narrow down, say how many, and are in the address', async () => {
  await page.fill('#text', '')
  await page.selectOption('#country', 'FI')
  await shown(() => document.querySelector('#list strong')?.textContent === 'Helsinki')
  // The numbers beside the filters come after the list.
  await shown(() => Number(document.querySelector('#population-0').textContent.replace(',', '')) > 300)
  const all = Number((await text('#population-0')).replace(',', ''))
  await page.locator('#population input[value="100000"]').check()
  await shown(() => /^\d places/.test(document.querySelector('#count').textContent))
  const large = Number(await text('#population-100000'))
  assert.ok(large > 3 && large < 12 && all > 300, `${large} of ${all}`)
  assert.equal(await page.locator('#list li').count(), large)
  assert.match(page.url(), /country=FI&population=100000/)
  await pictures4('filtered')
})

await check('the inspector tells how the query is answered', async () => {
  await page.getByRole('tab', { name: 'Inspect' }).click()
  const inspect = page.locator('#inspect')
  await inspect.getByText("where('country')").waitFor()
  const card = await inspect.locator('.card').first().innerText()
  assert.match(card, /index\s+country/)
  await page.getByRole('button', { name: 'Verify everything' }).click()
  await inspect.getByText(/Whole: 138,399 documents/).waitFor()
  await page.getByRole('button', { name: 'Measure' }).click()
  await inspect.getByText('records read in order').waitFor({ timeout: 60_000 })
  await shown(() => document.querySelectorAll('#inspect .card:last-child tbody tr').length === 5)
  console.log((await inspect.locator('.card').last().locator('table').innerText()).replace(/^/gm, '  '))
  await page.evaluate(() => (document.querySelector('#inspect').scrollTop = 0))
  await pictures4('inspect')
  await page.evaluate(() => (document.querySelector('#inspect').scrollTop = 1e6))
  await pictures4('inspect-end')
  await page.getByRole('tab', { name: 'Explore' }).click()
})

await check('a place is edited by keyboard, and shows at once', async () => {
  await page.focus('#text')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.locator('#editor[open]').waitFor()
  await pictures4('editor')
  await page.fill('#place [name=name]', 'Helsinki, renamed')
  await page.keyboard.press('Enter')
  await page.locator('#list').getByText('Helsinki, renamed').waitFor()
  await page.getByText('Helsinki, renamed is saved.').waitFor()
})

await check('a click on the map finds a place', async () => {
  await page.waitForTimeout(200)
  const box = await page.locator('#map').boundingBox()
  await page.evaluate(() => (document.querySelector('#toast').hidden = true))
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2 + 60)
  await page.locator('#toast').getByRole('button', { name: 'Edit' }).waitFor()
})

await check('what is deleted can be brought back', async () => {
  const count = await page.locator('#list li').count()
  await page.locator('#list button').first().click()
  await page.getByRole('button', { name: 'Delete', exact: true }).click()
  await shown(`document.querySelectorAll('#list li').length === ${count - 1}`)
  await page.getByRole('button', { name: 'Undo' }).click()
  await shown(`document.querySelectorAll('#list li').length === ${count}`)
})

await check('it works without a network', async () => {
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}))
  await shown(async () => (await (await caches.open((await caches.keys())[0])).keys()).length >= 6)
  await page.reload()
  await shown(() => navigator.serviceWorker.controller !== null)
  await context.setOffline(true)
  await page.reload()
  await shown(() => document.querySelector('#list strong')?.textContent === 'Helsinki, renamed')
  await shown(() => document.querySelector('#status').textContent.includes('offline'))
  await context.setOffline(false)
})

await check('a second tab follows the first', async () => {
  const second = await context.newPage()
  listen(second)
  await second.goto(page.url())
  const list = second.locator('#list')
  await list.getByText('Helsinki, renamed').waitFor()
  await page.locator('#list button').first().click()
  await page.fill('#place [name=name]', 'Helsinki, twice')
  await page.keyboard.press('Enter')
  await list.getByText('Helsinki, twice').waitFor()
  await second.locator('#list button').first().click()
  await second.fill('#place [name=name]', 'Helsinki')
  await second.keyboard.press('Enter')
  await shown(() => document.querySelector('#list strong')?.textContent === 'Helsinki')
  await page.close()
  page = second
  await page.locator('#list button').first().click()
  await page.fill('#place [name=population]', '558458')
  await page.keyboard.press('Enter')
  await page.locator('#list').getByText('558,458').waitFor()
})

await check('nothing was complained about', async () => {
  assert.deepEqual(troubles, [])
})

await context.close()
await server.close().catch(() => {})
fs.rmSync(profile, { recursive: true, force: true })
console.log(`screenshots are in ${pictures}`)
console.log(`test result: ${failed === 0 ? 'ok' : 'FAILED'}. ${passed} passed; ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
