// Encrypted databases in a page: what opens them on each storage, what is stored, what is fetched, and other tabs.

import * as assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { launch, newProfile, storages, testPage } from './driver.mjs'
import { serve } from './server.mjs'
import * as tally from '../tally.mjs'

/** Files that were fetched. */
const fetched = new Set()
/** The file that is not there. */
let missing
const { address, close } = await serve(undefined, file => {
  fetched.add(path.basename(file))
  return path.basename(file) === missing ? null : undefined
})
const profile = newProfile()
const context = await launch(profile)
const [page, other] = [await testPage(context, address), await testPage(context, address)]

for (const each of [page, other]) {
  await each.evaluate(async () => {
    const { open } = window.lightning
    const rawKey = byte => ({ key: new Uint8Array(32).fill(byte) })
    window.secrets = {
      first: rawKey(1),
      second: rawKey(2),
      third: rawKey(3),
      words: { passphrase: 'correct horse battery staple' },
      otherWords: { passphrase: 'incorrect horse' },
      /** As one that cannot be extracted, which stays here in IndexedDB. */
      async keeper() {
        const own = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
        return {
          provider: {
            async wrap(key) {
              const iv = crypto.getRandomValues(new Uint8Array(12))
              return Uint8Array.of(...iv, ...new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, own, key)))
            },
            unwrap: wrapped =>
              crypto.subtle.decrypt({ name: 'AES-GCM', iv: wrapped.subarray(0, 12) }, own, wrapped.subarray(12)).then(
                key => new Uint8Array(key),
                () => null,
              ),
          },
        }
      },
      code: run => run.then(() => 'it did not fail', error => error.code),
      /** What opening it gives: how many documents, or the code of the error. */
      reads: async (name, encryption) => {
        try {
          const database = await open(name, { encryption, create: false })
          const count = await database.collection('people').count()
          await database.close()
          return count
        } catch (error) {
          return error.code
        }
      },
      make: async (name, storage, encryption, count = 500) => {
        const database = await open(name, { storage, encryption })
        await database.collection('people', { key: 'id' }).putMany(Array.from({ length: count }, (_, id) => ({ id, text: `nobody reads this ${id}` })))
        return database
      },
      /** Whether these bytes are anywhere in what the origin stores. */
      stores: async text => {
        const sought = new TextEncoder().encode(text)
        const has = bytes => {
          for (let at = bytes.indexOf(sought[0]); at >= 0; at = bytes.indexOf(sought[0], at + 1)) {
            if (sought.every((byte, of) => bytes[at + of] === byte)) return true
          }
          return false
        }
        const inFolder = async folder => {
          for await (const entry of folder.values()) {
            if (entry.kind === 'directory' ? await inFolder(entry) : has(new Uint8Array(await (await entry.getFile()).arrayBuffer()))) return true
          }
          return false
        }
        const inValue = value =>
          value instanceof ArrayBuffer ? has(new Uint8Array(value)) : ArrayBuffer.isView(value) ? has(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) : Object(value) === value && Object.values(value).some(inValue)
        const inDatabase = async name => {
          const asked = request => new Promise((resolve, reject) => ((request.onsuccess = () => resolve(request.result)), (request.onerror = () => reject(request.error))))
          const database = await asked(indexedDB.open(name))
          try {
            for (const store of database.objectStoreNames) {
              if ((await asked(database.transaction(store).objectStore(store).getAll())).some(inValue)) return true
            }
            return false
          } finally {
            database.close()
          }
        }
        for (const { name } of await indexedDB.databases()) if (await inDatabase(name)) return true
        return navigator.storage.getDirectory ? inFolder(await navigator.storage.getDirectory()).catch(() => false) : false
      },
    }
  })
}

/** What happens in the page is to give this. */
function test(what, expected, run, argument) {
  return tally.test(what, async () => assert.deepEqual(await page.evaluate(run, argument), expected))
}

try {
  await tally.test('a page without encrypted databases fetches nothing of them', async () => {
    await page.evaluate(async () => {
      const { open, destroy } = window.lightning
      const database = await open('plain')
      const documents = database.collection('people', { key: 'id' })
      await documents.put({ id: 1 })
      await database.transaction(() => documents.count())
      await database.close()
      await destroy('plain')
    })
    assert.deepEqual([...fetched].filter(name => name.includes('encrypt')), [])
    assert.ok(fetched.has('lightning-1.wasm'))
    fetched.clear()
  })
  await tally.test('one that opens an encrypted one fetches that engine, and no other', async () => {
    await page.evaluate(async () => {
      const { open, destroy } = window.lightning
      const database = await open('fetched', { encryption: window.secrets.first })
      await database.table('t').put('a', 1)
      await database.close()
      await destroy('fetched')
    })
    assert.deepEqual([...fetched].filter(name => /wasm|worker/.test(name)).sort(), ['encrypted.wasm', 'worker-encrypted.js'])
  })
  for (const storage of storages) {
    await test(
      `${storage}: it opens with its key and nothing else, and nothing of it is stored in clear`,
      [500, 'WrongKey', 'WrongKey', 'Unsupported', 500, false, true],
      async storage => {
        const { destroy } = window.lightning
        const { first, second, words, reads, make, stores } = window.secrets
        await (await make('own', storage, first)).close()
        const read = [await reads('own', first), await reads('own', second), await reads('own', words), await reads('own'), await reads('own', first)]
        const hidden = await stores('nobody reads this')
        // What would be found.
        await (await make('clear', storage)).close()
        const clear = await stores('nobody reads this')
        await destroy('own')
        await destroy('clear')
        return [...read, hidden, clear]
      },
      storage,
    )
    await test(
      `${storage}: passphrases, and those who keep keys`,
      [500, 'WrongKey', 500, 'WrongKey', 'the service is away', 'gone', ['raw', 'passphrase', 'provider']],
      async storage => {
        const { open, destroy, list } = window.lightning
        const { first, words, otherWords, keeper, reads, make } = window.secrets
        const { keys } = await import('/dist/encryption.js')
        await (await make('words', storage, words)).close()
        const begin = performance.now()
        const read = [await reads('words', words)]
        console.log(`${storage}: opening and closing with a passphrase took ${Math.round(performance.now() - begin)} ms`)
        read.push(await reads('words', otherWords))
        const [own, another] = [await keeper(), await keeper()]
        await (await make('kept', storage, own)).close()
        read.push(await reads('kept', own), await reads('kept', another))
        const away = { provider: { wrap: () => Promise.reject(new Error('the service is away')), unwrap: () => null } }
        read.push(await open('unmade', { storage, encryption: away }).catch(error => error.message))
        read.push((await list()).includes('unmade') ? 'there' : 'gone')
        const all = await make('all', storage, first, 1)
        await keys(all).add(words)
        await keys(all).add(own)
        const kinds = (await keys(all).list()).map(({ kind }) => kind)
        await all.close()
        for (const name of ['words', 'kept', 'all', 'unmade']) await destroy(name)
        return [...read, kinds]
      },
      storage,
    )
    await test(
      `${storage}: keys change, and everything is encrypted anew`,
      [1, 2, 'Invalid', [1, 2], 'WrongKey', 2000, true, 'undefined', 'WrongKey', 'WrongKey', 2001, []],
      async storage => {
        const { open, destroy } = window.lightning
        const { first, second, third, code, reads, make } = window.secrets
        const { keys } = await import('/dist/encryption.js')
        const database = await make('keys', storage, first, 2000)
        const its = keys(database)
        const given = [await its.add(second), await its.rotate(0, third), await code(its.remove(0))]
        given.push((await its.list()).map(({ slot }) => slot))
        await database.close()
        given.push(await reads('keys', first), await reads('keys', second))
        const again = await open('keys', { encryption: third })
        const documents = again.collection('people')
        const stages = new Set()
        const writing = documents.put({ id: -1 })
        await keys(again).reencrypt(first, { progress: ({ stage }) => stages.add(stage) })
        await writing
        given.push(stages.size > 0, typeof (await keys(again).reencryption()))
        await again.close()
        given.push(await reads('keys', second), await reads('keys', third), await reads('keys', first))
        const last = await open('keys', { encryption: first })
        given.push((await last.verify()).problems)
        await last.close()
        await destroy('keys')
        return given
      },
      storage,
    )
    await test(
      `${storage}: backups are restored with the key`,
      [false, 'WrongKey', 'Unsupported', ['kept backups'], 500, 500],
      async storage => {
        const { restore, destroy, list } = window.lightning
        const { first, second, keeper, code, reads, make } = window.secrets
        const own = await keeper()
        const database = await make('kept backups', storage, first)
        const blob = await new Response(database.backup()).blob()
        await database.close()
        const given = [(await blob.text()).includes('nobody')]
        given.push(await code(restore('copy', blob, { storage, encryption: second })), await code(restore('copy', blob, { storage })))
        given.push(await list())
        await restore('copy', blob, { storage, encryption: first })
        given.push(await reads('copy', first))
        const kept = await make('kept by others', storage, own)
        const its = await new Response(kept.backup()).blob()
        await kept.close()
        await restore('copy', its, { storage, encryption: own, overwrite: true })
        given.push(await reads('copy', own))
        for (const name of ['kept backups', 'kept by others', 'copy']) await destroy(name)
        return given
      },
      storage,
    )
    await tally.test(`${storage}: other tabs show the key, and go on when the owner is gone`, async () => {
      await page.evaluate(async storage => {
        window.database = await window.secrets.make('shared', storage, window.secrets.first)
      }, storage)
      const served = await other.evaluate(async () => {
        const { open } = window.lightning
        const { first, second, words, code } = window.secrets
        const refused = [await code(open('shared', { encryption: second })), await code(open('shared', { encryption: words }))]
        const none = await open('shared')
        refused.push(await code(none.collection('people').count()))
        await none.close()
        window.database = await open('shared', { encryption: first })
        return [...refused, await window.database.collection('people').count()]
      })
      assert.deepEqual(served, ['WrongKey', 'WrongKey', 'WrongKey', 500])
      // And whoever comes later in the same page.
      const again = await page.evaluate(async () => {
        const { open } = window.lightning
        const { first, second, code } = window.secrets
        const refused = await code(open('shared', { encryption: second }))
        const same = await open('shared', { encryption: first })
        const count = await same.collection('people').count()
        await same.close()
        await window.database.close()
        return [refused, count]
      })
      assert.deepEqual(again, ['WrongKey', 500])
      const after = await other.evaluate(async () => {
        await window.database.collection('people').put({ id: -1 })
        const count = await window.database.collection('people').count()
        await window.database.close()
        return count
      })
      assert.equal(after, 501)
      assert.equal(await page.evaluate(() => window.lightning.destroy('shared')), true)
    })
  }
  await test('beside one that is not encrypted, in one page', [1, 500, 'WrongKey', 'WrongKey'], async () => {
    const { open, destroy } = window.lightning
    const { first, make, code } = window.secrets
    const plain = await open('beside plain')
    await plain.collection('people', { key: 'id' }).put({ id: 1 })
    const encrypted = await make('beside encrypted', undefined, first)
    const counts = [await plain.collection('people').count(), await encrypted.collection('people').count()]
    const open2 = await code(open('beside plain', { encryption: first }))
    await plain.close()
    const closed = await code(open('beside plain', { encryption: first }))
    await encrypted.close()
    for (const name of ['beside plain', 'beside encrypted']) await destroy(name)
    return [...counts, open2, closed]
  })
  if (storages.includes('opfs')) {
    await test(
      'without promises, in a worker',
      ['plain', 'sealed', 1, 'Unsupported', 'WrongKey', 'WrongKey', 'Unsupported', 'sealed', 'kept'],
      () =>
        new Promise((resolve, reject) => {
          const worker = new Worker(new URL('./sync-encryption-worker.mjs', location.href), { type: 'module' })
          worker.onmessage = ({ data }) => resolve(data)
          worker.onerror = event => reject(new Error(event.message))
          worker.addEventListener('messageerror', reject)
          worker.postMessage('sync')
        }),
    )
  }
  for (const [name, code] of [['encryption.js', 'PartMissing'], ['worker-encrypted.js', 'WorkerFailed'], ['encrypted.wasm', 'WorkerFailed']]) {
    await tally.test(`${name} that is missing is named, and nothing is opened in clear`, async () => {
      const fresh = await testPage(context, address)
      missing = name
      try {
        const error = await fresh.evaluate(async () => {
          const { code, message } = await window.lightning.open('missing', { encryption: { key: new Uint8Array(32) } }).catch(error => error)
          return { code, message, list: await window.lightning.list() }
        })
        assert.equal(error.code, code, error.message)
        // Of a worker that does not start a page learns no more than where it should be.
        assert.ok(error.message.includes(name === 'worker-encrypted.js' ? "a worker's script beside" : name), error.message)
        assert.deepEqual(error.list, [])
      } finally {
        missing = undefined
        await fresh.close()
      }
    })
  }
  await test('what is no key is an error, and nothing is made', ['Invalid', 'Invalid', 'Invalid', 'Invalid', []], async () => {
    const { open, restore, list } = window.lightning
    const { code } = window.secrets
    const given = []
    for (const encryption of [null, '', { key: 'text' }]) given.push(await code(open('never', { encryption })))
    return [...given, await code(restore('never', new Blob([]), { encryption: {} })), await list()]
  })
  await test('in memory', [1, 1], async () => {
    const { open } = window.lightning
    const { keys } = await import('/dist/encryption.js')
    const database = await open('memory', { storage: 'memory', encryption: window.secrets.first })
    await database.collection('people', { key: 'id' }).put({ id: 1 })
    const given = [await database.collection('people').count(), (await keys(database).list()).length]
    await database.close()
    return given
  })
} finally {
  await context.close()
  close()
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
}
tally.conclude()
