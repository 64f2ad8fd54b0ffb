// Opens the page in Chromium, kills that while it writes, opens it again and looks for what was acknowledged.
// Arguments: the browser's program, the folder of the site, the folder of the browser's profile.
const { spawn } = require('node:child_process')
const { createReadStream, existsSync } = require('node:fs')
const { createServer } = require('node:http')
const { extname, join, normalize } = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')
const { chromium } = require('playwright-core')

const [program, site, profile] = process.argv.slice(2)
const ROWS = 10_000
const STORAGES = ['opfs', 'indexeddb']
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' }
const FLAGS = [
  '--headless', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--remote-debugging-port=0', `--user-data-dir=${profile}`,
]
// Chromium's sandbox does not work for the superuser.
if (process.getuid?.() === 0) FLAGS.push('--no-sandbox')

const running = new Set()
process.on('exit', () => running.forEach(kill))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

main().catch((error) => {
  console.error(`FAIL: ${error.message}`)
  process.exit(1)
})

async function main() {
  // The port is part of the origin that storage belongs to, so it stays the same throughout.
  const server = createServer(serve).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const origin = `http://localhost:${server.address().port}`

  console.log(`\n== put ${ROWS} rows, close, reopen, read them back`)
  const first = await start()
  await report(first.page, `${origin}/?task=write&rows=${ROWS}`)

  const acknowledged = {}
  for (const storage of STORAGES) {
    console.log(`\n== ${storage}: write until the browser is killed, then read what was acknowledged`)
    const victim = storage === STORAGES[0] ? first : await start()
    const enough = new Promise((resolve) => {
      victim.page.exposeFunction('acknowledged', (storage, rows) => {
        acknowledged[storage] = rows
        if (rows >= 2 * ROWS) resolve()
      })
    })
    await victim.page.goto(`${origin}/?task=writeUntilKilled&storages=${storage}&rows=${ROWS}`)
    // Without a reference, so that a timer that is not needed any more does not keep this program alive.
    const tooLong = delay(120_000, undefined, { ref: false })
    await Promise.race([enough, tooLong.then(() => Promise.reject(new Error('too few rows were acknowledged')))])
    await killed(victim)
    const rows = acknowledged[storage]
    console.log(`killed with SIGKILL after ${rows} rows were acknowledged`)
    const survivor = await start()
    const [outcome] = await report(survivor.page, `${origin}/?task=recover&storages=${storage}&rows=${rows}`)
    console.log(`acknowledged: ${rows}, present: ${outcome.present}`)
    await killed(survivor)
  }
  server.close()
  console.log('\nPASS')
}

// Shows each step as it ends; the page's outcomes, if all of them are good.
async function report(page, url) {
  await page.goto(url)
  await page.waitForFunction(() => globalThis.outcomes, undefined, { timeout: 300_000 })
  for (const row of await page.locator('#steps tr').all()) {
    const [storage, step, ms] = await row.locator('td').allTextContents()
    console.log(`${storage.padEnd(10)} ${step.padEnd(50)} ${ms.padStart(9)} ms`)
  }
  const outcomes = await page.evaluate(() => globalThis.outcomes)
  for (const { storage, error } of outcomes) console.log(`${storage}: ${error ? 'FAIL' : 'PASS'}`)
  const failed = outcomes.find(({ error }) => error)
  if (failed) throw new Error(`${failed.storage}: ${failed.error}`)
  return outcomes
}

// A browser of our own in a process group of its own, so that all of it can be killed. It uses the profile's storage on
// disk; playwright's own contexts keep theirs in memory.
async function start() {
  const child = spawn(program, [...FLAGS, 'about:blank'], { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  running.add(child)
  const endpoint = await new Promise((resolve, reject) => {
    let text = ''
    child.stderr.on('data', (data) => {
      text += data
      const found = /DevTools listening on (ws:\S+)/.exec(text)
      if (found) resolve(found[1])
    })
    child.once('exit', (code) => reject(new Error(`${program} ended with ${code}:\n${text}`)))
  })
  const browser = await chromium.connectOverCDP(endpoint)
  const context = browser.contexts()[0]
  return { child, browser, page: context.pages()[0] ?? (await context.newPage()) }
}

// Kills it, and waits until all it has said has arrived.
async function killed({ child, browser }) {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  const silent = new Promise((resolve) => (browser.isConnected() ? browser.once('disconnected', resolve) : resolve()))
  kill(child)
  await Promise.all([gone, silent])
}

function kill(child) {
  running.delete(child)
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

function serve(request, response) {
  const { pathname } = new URL(request.url, 'http://localhost')
  const file = join(site, normalize(pathname === '/' ? '/index.html' : pathname))
  if (!existsSync(file) || !TYPES[extname(file)]) return response.writeHead(404).end()
  response.writeHead(200, { 'content-type': TYPES[extname(file)] })
  createReadStream(file).pipe(response)
}
