// Owns the database, as an application's worker will.
import init, { Spike } from './lightning_db_wasm.js'

const NAME = 'spike'
const BATCH = 100

onmessage = async ({ data: { task, storage, rows } }) => {
  try {
    postMessage({ done: await tasks[task](storage, rows) })
  } catch (error) {
    postMessage({ done: { error: String(error?.stack ?? error) } })
  }
}

const tasks = {
  // Puts rows, closes, reopens and reads them back.
  async write(storage, rows) {
    await timed('compile', () => init())
    await Spike.delete(storage, NAME)
    let database = await timed('open, new', () => Spike.open(storage, NAME))
    await timed(`put ${rows} rows, ${BATCH} in a durable commit`, () => putAll(database, 0, rows))
    await timed(`get ${rows} rows one by one`, () => getAll(database, rows))
    await timed('close', () => database.close())
    database = await timed('reopen', () => Spike.open(storage, NAME))
    await timed('first get', () => getAll(database, 1))
    await timed(`get ${rows} rows one by one, after reopening`, () => getAll(database, rows))
    await timed('scan', async () => expect('rows scanned', await database.scan(), rows))
    await timed('check', async () => expect('problems found', await database.check(), 0))
    await database.close()
    return {}
  },

  // Puts rows, one commit after the other, until the browser is killed.
  async writeUntilKilled(storage, rows) {
    await init()
    const database = await Spike.open(storage, NAME)
    for (let first = rows; ; first += BATCH) {
      await database.put(first, BATCH)
      postMessage({ acknowledged: first + BATCH })
    }
  },

  // Reads everything that was acknowledged before the browser was killed.
  async recover(storage, acknowledged) {
    await init()
    const database = await timed('reopen after the kill', () => Spike.open(storage, NAME))
    await timed(`get ${acknowledged} acknowledged rows`, () => getAll(database, acknowledged))
    const present = await database.scan()
    if (present < acknowledged) throw new Error(`${acknowledged} rows were acknowledged, ${present} are there`)
    if (present % BATCH !== 0) throw new Error(`${present} rows are there: a commit is there in part`)
    await timed('check', async () => expect('problems found', await database.check(), 0))
    await database.close()
    return { present }
  },
}

async function putAll(database, first, rows) {
  for (; first < rows; first += BATCH) await database.put(first, Math.min(BATCH, rows - first))
}

async function getAll(database, rows) {
  expect('rows found', await database.get(0, rows), rows)
}

function expect(what, found, expected) {
  if (found !== expected) throw new Error(`${what}: ${found}, expected ${expected}`)
}

async function timed(step, run) {
  const start = performance.now()
  const result = await run()
  postMessage({ step, ms: performance.now() - start })
  return result
}
