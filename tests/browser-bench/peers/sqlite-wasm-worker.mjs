// SQLite's own WebAssembly build, on its fastest storage: opfs-sahpool.

import initialize from '/modules/@sqlite.org/sqlite-wasm/dist/index.mjs'
import { GET, PRAGMAS, PUT, RANGE, SCAN, SCHEMA, serve } from './sql.mjs'

let database
let statements

const row = statement => ({ id: statement.get(0), n: statement.get(1), value: statement.get(2) })

function rows(statement, bound) {
  if (bound !== undefined) statement.bind([bound])
  const found = []
  while (statement.step()) found.push(row(statement))
  statement.reset(true)
  return found
}

function put({ id, n, value }) {
  statements.put.bind([id, n, value]).stepReset()
}

serve({
  async open(name) {
    const sqlite = await initialize({ print: () => {}, printErr: () => {} })
    const pool = await sqlite.installOpfsSAHPoolVfs({ name, directory: `/${name}`, initialCapacity: 6 })
    database = new pool.OpfsSAHPoolDb(`/${name}.db`)
    database.exec(PRAGMAS)
    database.exec(SCHEMA)
    const [putting, getting, scanning, ranging] = [PUT, GET, SCAN, RANGE].map(sql => database.prepare(sql))
    statements = { put: putting, get: getting, scan: scanning, range: ranging }
  },
  load: all => database.transaction(() => all.forEach(put)),
  put,
  get: key => rows(statements.get, key)[0],
  getAll: keys => keys.map(key => rows(statements.get, key)[0]),
  scan: () => rows(statements.scan),
  range: from => rows(statements.range, from),
  close() {
    for (const statement of Object.values(statements)) statement.finalize()
    database.close()
  },
})
