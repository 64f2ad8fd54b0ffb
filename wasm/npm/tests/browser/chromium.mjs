// Chromium, by playwright-core. A profile on disk: storage of a private window lies in memory.

import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { createRequire } from 'node:module'

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

/** Starts it on a profile; gives the browser's context. */
export function launch(profile) {
  return chromium.launchPersistentContext(profile, {
    executablePath: process.env.LIGHTNING_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ARGUMENTS,
  })
}

/** The page of the tests, ready to be called. */
export async function testPage(context, address) {
  const page = await context.newPage()
  page.on('console', message => console.log(`  page: ${message.text()}`))
  page.on('pageerror', error => console.log(`  page: ${error}`))
  await page.goto(`${address}/tests/browser/page.html`)
  await page.waitForFunction(() => window.tests)
  return page
}
