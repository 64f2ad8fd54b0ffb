// Opens, copies and restores a database without promises.

import { open, restore } from '../../dist/sync.js'

self.onmessage = async ({ data: name }) => {
  const database = await open(name)
  const documents = database.collection('documents', { key: 'id' })
  documents.putMany(Array.from({ length: 3000 }, (_, id) => ({ id, text: `document ${id}` })))
  const pieces = [...database.backup()]
  database.close()
  const codes = []
  for (const [source, options] of [
    [new Blob(pieces)],
    [new Blob(pieces).slice(0, 9000), { overwrite: true }],
    [new Blob(pieces), { overwrite: true }],
  ]) {
    codes.push(await restore(name, source, options).then(() => 'restored', error => error.code))
  }
  const held = await open(name)
  codes.push(await restore(name, new Blob(pieces), { overwrite: true }).catch(error => error.code))
  held.close()
  const again = await open(name, { create: false })
  const found = [codes, again.collection('documents').count(), again.verify().problems]
  again.close()
  self.postMessage(found)
}
