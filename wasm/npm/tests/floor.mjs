// The oldest browsers and Node that are supported: nothing in what is shipped is newer than what they have.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { test } from 'node:test'
import { transformSync } from 'esbuild'

const dist = new URL('../dist/', import.meta.url)
const scripts = fs.readdirSync(dist).filter(name => name.endsWith('.js'))
const inBrowsers = scripts.filter(name => !/^(node|sync-node|chunk-.*)\.js$/.test(name))

/** What came after Chrome and Edge 108, Firefox 111, Safari 16.4 and Node 20, or is missing in one of them. */
const NEWER = [
  /\bPromise\.(withResolvers|try)\b/,
  /\bArray\.fromAsync\b/,
  /\b(Object|Map)\.groupBy\b/,
  /\bAbortSignal\.any\b/,
  /\bURL\.(canParse|parse)\b/,
  /\bReadableStream\.from\b/,
  /\bRegExp\.escape\b/,
  /\bError\.isError\b/,
  /\bMath\.(sumPrecise|f16round)\b/,
  /\bUint8Array\.from(Base64(?!\|\|)|Hex)\b/,
  /\bscheduler\.(yield|postTask|wait)\b/,
  /\bAtomics\.(waitAsync|pause)\b/,
  /\bWebAssembly\.(JSTag|Suspending|promising)\b/,
  /\.(toSorted|toReversed|toSpliced|isWellFormed|toWellFormed|transferToFixedLength|toBase64|toHex|setFromBase64|setFromHex)\(/,
  /\.(isSubsetOf|isSupersetOf|isDisjointFrom|symmetricDifference)\(/,
  // Safari had no streams of files until 26.
  /\.createWritable\(/,
]

/** What is newer, too, and used where it is: each must be asked for before. */
const ASKED_FOR = [
  [/Symbol\.dispose\b/, /Symbol\.dispose&&|Symbol\.dispose\?\?|if\(Symbol\.dispose\)/],
  [/Symbol\.asyncDispose\b/, /Symbol\.asyncDispose&&|Symbol\.asyncDispose\?\?|if\(Symbol\.asyncDispose\)/],
  // Firefox has it since 126.
  [/indexedDB\.databases\(/, /"databases"in indexedDB/],
  // Safari has it since 17.
  [/\.estimate\b(?!\?\.)/, /\.estimate\?\./],
]

test('the syntax of every script for browsers is known to the oldest browsers', () => {
  assert.ok(['index.js', 'worker.js', 'worker-files.js', 'worker-encrypted.js', 'encryption.js', 'service-worker.js'].every(name => inBrowsers.includes(name)))
  for (const name of inBrowsers) {
    const text = fs.readFileSync(new URL(name, dist), 'utf8')
    const target = ['chrome108', 'edge108', 'firefox111', 'safari16.4']
    const as = target => transformSync(text, { target, minify: true, format: 'esm' }).code
    assert.ok(as(target) === as('esnext'), `${name} is written otherwise for ${target}`)
  }
})

test('a newer syntax would be noticed', () => {
  const text = 'export function f() { using x = g(); return x }'
  const as = target => transformSync(text, { target, minify: true }).code
  assert.notEqual(as(['safari16.4']), as('esnext'))
})

test('no script calls what the oldest browsers do not have', () => {
  for (const name of scripts) {
    const text = fs.readFileSync(new URL(name, dist), 'utf8')
    for (const newer of NEWER) assert.ok(!newer.test(text), `${name} calls ${newer.exec(text)?.[0]}`)
    for (const [use, question] of ASKED_FOR) assert.ok(!use.test(text) || question.test(text), `${name} uses ${use} without asking for it`)
  }
})

test('workers are scripts for browsers without modules in workers, too', () => {
  // Firefox takes `type: 'module'` for nothing until 114.
  for (const name of ['worker.js', 'worker-files.js', 'worker-encrypted.js']) {
    const worker = fs.readFileSync(new URL(name, dist), 'utf8')
    assert.doesNotThrow(() => new Function(worker))
  }
})
