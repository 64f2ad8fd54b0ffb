// Runs the conformance scripts in Chromium, on each storage that it has, and says how many operations of how many scripts
// ran on each. A cell that did not run is a failure.

import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { createRequire } from 'node:module'
import { serve } from './server.mjs'

const STORAGES = ['opfs', 'indexeddb', 'memory']
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage']

const require = createRequire(path.join(process.env.LIGHTNING_PLAYWRIGHT, 'node_modules', 'from-here.js'))
const { chromium } = require('playwright-core')

const scripts = fs.readdirSync(new URL('../../../../tests/conformance/', import.meta.url)).filter(name => name.endsWith('.jsonl')).sort()
const { address, close } = await serve()
// A profile on disk: storage of a private window lies in memory.
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-chromium-'))
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.LIGHTNING_CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ARGUMENTS,
})
let failed = 0
let passedInAll = 0
try {
  const page = await context.newPage()
  page.on('console', message => console.log(`  page: ${message.text()}`))
  page.on('pageerror', error => console.log(`  page: ${error}`))
  await page.goto(`${address}/tests/browser/page.html`)
  await page.waitForFunction(() => window.tests)
  for (const storage of STORAGES) {
    let operations = 0
    let passed = 0
    for (const name of scripts) {
      if (storage === 'memory' && /reopen/.test(fs.readFileSync(new URL(`../../../../tests/conformance/${name}`, import.meta.url), 'utf8'))) continue
      try {
        operations += await page.evaluate(([name, storage]) => window.tests.conformance(name, storage), [name, storage])
        passed++
        passedInAll++
      } catch (error) {
        failed++
        console.log(`FAILED ${name} on ${storage}\n${error.message}`)
      }
    }
    console.log(`chromium ${storage}: ${passed} of ${scripts.length} scripts, ${operations} operations`)
  }
} finally {
  await context.close()
  close()
  fs.rmSync(profile, { recursive: true, force: true })
}
console.log(`test result: ${failed === 0 ? 'ok' : 'FAILED'}. ${passedInAll} passed; ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
