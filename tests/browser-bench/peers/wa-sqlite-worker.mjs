// wa-sqlite on AccessHandlePool, its fastest storage that every browser has.

import factory from '/modules/@journeyapps/wa-sqlite/dist/wa-sqlite.mjs'
import { AccessHandlePoolVFS } from '/modules/@journeyapps/wa-sqlite/src/examples/AccessHandlePoolVFS.js'
import * as SQLite from '/modules/@journeyapps/wa-sqlite/src/sqlite-api.js'
import { GET, PRAGMAS, PUT, RANGE, SCAN, SCHEMA, serve } from './sql.mjs'

let sqlite
let database
let statements

async function rows(statement, bound) {
  if (bound !== undefined) sqlite.bind_collection(statement, [bound])
  const found = []
  while ((await sqlite.step(statement)) === SQLite.SQLITE_ROW) {
    const [id, n, value] = sqlite.row(statement)
    found.push({ id, n, value: value.slice() })
  }
  await sqlite.reset(statement)
  return found
}

async function put({ id, n, value }) {
  sqlite.bind_collection(statements.put, [id, n, value])
  await sqlite.step(statements.put)
  await sqlite.reset(statements.put)
}

async function prepare(sql) {
  for await (const statement of sqlite.statements(database, sql, { unscoped: true })) return statement
}

serve({
  async open(name) {
    const module = await factory()
    sqlite = SQLite.Factory(module)
    const storage = await AccessHandlePoolVFS.create(`/${name}`, module)
    sqlite.vfs_register(storage, true)
    database = await sqlite.open_v2(`/${name}.db`)
    await sqlite.exec(database, PRAGMAS)
    await sqlite.exec(database, SCHEMA)
    statements = { put: await prepare(PUT), get: await prepare(GET), scan: await prepare(SCAN), range: await prepare(RANGE) }
  },
  async load(all) {
    await sqlite.exec(database, 'BEGIN')
    for (const record of all) await put(record)
    await sqlite.exec(database, 'COMMIT')
  },
  put,
  get: async key => (await rows(statements.get, key))[0],
  async getAll(keys) {
    const found = []
    for (const key of keys) found.push((await rows(statements.get, key))[0])
    return found
  },
  scan: () => rows(statements.scan),
  range: from => rows(statements.range, from),
  async close() {
    for (const statement of Object.values(statements)) await sqlite.finalize(statement)
    await sqlite.close(database)
  },
})
