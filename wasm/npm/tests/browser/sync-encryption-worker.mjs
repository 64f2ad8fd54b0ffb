// Opens an encrypted database without promises, beside one that is not, and restores a backup of it.

import { destroy, open as openLater } from '../../dist/index.js'
import { keys } from '../../dist/encryption.js'
import { open, restore } from '../../dist/sync.js'

const KEY = { key: new Uint8Array(32).fill(1) }
const OTHER = { key: new Uint8Array(32).fill(2) }
const turn = async bytes => bytes.map(byte => byte ^ 0x5a)
const KEPT = { provider: { wrap: turn, unwrap: turn } }

const code = run => run.then(() => 'it did not fail', error => error.code)

self.onmessage = async ({ data: name }) => {
  const plain = await open(`${name} plain`)
  plain.table('t').put('a', 'plain')
  const database = await open(name, { encryption: KEY })
  database.table('t').put('a', 'sealed')
  const found = [plain.table('t').get('a'), database.table('t').get('a'), keys(database).add(OTHER)]
  const blob = new Blob([...database.backup()])
  plain.close()
  database.close()
  found.push(await code(open(name)), await code(open(name, { encryption: KEPT })))
  const again = await open(name, { encryption: OTHER })
  keys(again).reencrypt(KEY)
  again.close()
  found.push(await code(open(name, { encryption: OTHER })))
  found.push(await code(restore(`${name} copy`, blob)))
  await restore(`${name} copy`, blob, { encryption: OTHER })
  const copy = await open(`${name} copy`, { encryption: KEY })
  found.push(copy.table('t').get('a'))
  copy.close()
  // Whoever keeps the key may take its time where opening does.
  const kept = await open(`${name} kept`, { encryption: KEPT })
  kept.table('t').put('a', 'kept')
  kept.close()
  const later = await openLater(`${name} kept`, { encryption: KEPT })
  found.push(await later.table('t').get('a'))
  await later.close()
  for (const each of ['', ' plain', ' copy', ' kept']) await destroy(name + each)
  self.postMessage(found)
}
