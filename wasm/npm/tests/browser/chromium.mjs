// Chromium, by playwright-core. A profile on disk: storage of a private window lies in memory.

import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { createRequire } from 'node:module'

export { testPage } from './test-page.mjs'

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
]

const require = createRequire(path.join(process.env.LIGHTNING_PLAYWRIGHT, 'node_modules', 'from-here.js'))
const { chromium } = require('playwright-core')

/** A new, empty profile. */
export function newProfile() {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-chromium-'))
}

// So that those who are to be killed go with this program.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const program = process.env.LIGHTNING_CHROMIUM ?? '/usr/bin/chromium'

/** Starts it on a profile, or as a private window, with more of playwright's options; gives the browser's context. */
export async function launch(profile, { isPrivate = false, ...options } = {}) {
  if (isPrivate) {
    const browser = await chromium.launch({ executablePath: program, headless: true, args: ARGUMENTS })
    const context = await browser.newContext()
    context.once('close', () => browser.close())
    return context
  }
  return chromium.launchPersistentContext(profile, {
    executablePath: program,
    headless: true,
    args: ARGUMENTS,
    ...options,
  })
}

/** Starts it on a profile, in a process group of its own; `kill` ends all of it at once, whatever it does. */
export async function launchToBeKilled(profile) {
  const flags = [...ARGUMENTS, '--headless', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank']
  const child = spawn(program, flags, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  const end = () => {
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
  process.once('exit', end)
  const endpoint = await new Promise((resolve, reject) => {
    let text = ''
    child.stderr.on('data', data => {
      text += data
      const found = /DevTools listening on (ws:\S+)/.exec(text)
      if (found) resolve(found[1])
    })
    child.once('exit', code => reject(new Error(`${program} ended with ${code}:\n${text}`)))
  })
  const browser = await chromium.connectOverCDP(endpoint)
  const kill = async () => {
    const gone = new Promise(resolve => child.once('exit', resolve))
    // What it has said before arrives before this.
    const silent = new Promise(resolve => (browser.isConnected() ? browser.once('disconnected', resolve) : resolve()))
    end()
    process.removeListener('exit', end)
    await Promise.all([gone, silent])
  }
  return { newPage: () => browser.contexts()[0].newPage(), kill }
}

/** Crashes the process of a page. */
export async function crash(context, page) {
  const session = await context.newCDPSession(page)
  const crashed = page.waitForEvent('crash')
  session.send('Page.crash').catch(() => {})
  await crashed
}

/** The process of a page: the one that computes while the page does. */
export async function processOf(context, page) {
  const system = await context.browser().newBrowserCDPSession()
  const times = async () => {
    const { processInfo } = await system.send('SystemInfo.getProcessInfo')
    return new Map(processInfo.filter(({ type }) => type === 'renderer').map(({ id, cpuTime }) => [id, cpuTime]))
  }
  const before = await times()
  await page.evaluate(() => {
    for (const end = performance.now() + 400; performance.now() < end; );
  })
  const after = [...(await times())].map(([id, time]) => [time - (before.get(id) ?? 0), id])
  await system.detach()
  return after.sort(([a], [b]) => b - a)[0][1]
}
