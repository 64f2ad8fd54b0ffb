// Databases in files that several processes want: locks, stale locks, killed writers, and the command `lightning`.

import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { open } from '../dist/node.js'

const KILLS = Number(process.env.LIGHTNING_KILLS ?? 6)
/** The command, built by `cargo xtask`. */
const command = process.env.LIGHTNING_COMMAND
const child = fileURLToPath(new URL('child.mjs', import.meta.url))

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-processes-'))
const running = new Set()
after(() => {
  for (const process of running) process.kill('SIGKILL')
  fs.rmSync(folder, { recursive: true })
})

let files = 0
const newFile = () => path.join(folder, `${files++}.ldb`)

/** Starts a process; gives it, and the lines that it says, as they come. */
function start(program, args, options = {}) {
  const process = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options })
  running.add(process)
  const ended = new Promise(resolve => process.once('close', resolve))
  void ended.then(() => running.delete(process))
  const lines = []
  let text = ''
  let tell = () => {}
  process.stdout.on('data', data => {
    const parts = (text + data).split('\n')
    text = parts.pop()
    lines.push(...parts)
    tell()
  })
  const said = isEnough =>
    new Promise((resolve, reject) => {
      tell = () => isEnough(lines) && resolve(lines)
      void ended.then(() => reject(new Error(`it ended, having said ${lines.slice(-3)}`)))
      tell()
    })
  const kill = async () => {
    process.kill('SIGKILL')
    await ended
  }
  return { pid: process.pid, lines, said, kill }
}

const startChild = (...args) => start(process.execPath, [child, ...args.map(String)])

async function lockedFor(location) {
  const error = await open(location).then(
    () => assert.fail('it could be opened'),
    error => error,
  )
  assert.equal(error.code, 'Locked', error.stack)
  assert.ok(error.retryable)
  return error
}

test('a database that a process has open is locked for others, until that is gone', async () => {
  const file = newFile()
  const holder = startChild('hold', file)
  await holder.said(lines => lines.includes('open'))
  const error = await lockedFor(file)
  assert.match(error.message, new RegExp(`process ${holder.pid} `))
  await holder.kill()
  assert.ok(fs.existsSync(`${file}-lock`), 'a killed process leaves its lock file')
  const database = await open(file)
  await database.close()
  assert.ok(!fs.existsSync(`${file}-lock`))
})

test('a lock file that nobody can judge is not taken over', async () => {
  const file = newFile()
  fs.writeFileSync(`${file}-lock`, 'something else')
  await lockedFor(file)
})

for (const durability of ['sync', 'relaxed']) {
  test(`what was acknowledged outlives a killed process, ${durability}`, async () => {
    let file
    let written = 0
    for (let kill = 0; kill < KILLS; kill++) {
      // What is fast writes much: another file now and then.
      if (kill % 4 === 0) {
        file = newFile()
        written = 0
      }
      const enough = 1 + ((37 * kill) % 500)
      const writer = startChild('write', file, durability, written)
      const lines = await writer.said(lines => lines.length > enough)
      await writer.kill()
      const acknowledged = lines.slice(1).map(Number)
      const database = await open(file)
      const documents = database.collection('documents')
      const found = await documents.getMany(acknowledged)
      const lost = acknowledged.filter((id, at) => found[at]?.text !== `document ${id}`)
      assert.deepEqual(lost, [], `lost after ${acknowledged.length} acknowledged`)
      const { problems } = await database.verify()
      assert.deepEqual(problems, [])
      written = (await documents.query().toArray()).reduce((last, { id }) => Math.max(last, id), 0) + 1
      await database.close()
    }
  })
}

const withCommand = { skip: command === undefined && 'LIGHTNING_COMMAND is not set' }

test('a process of another language and this one lock each other out', withCommand, async () => {
  const file = newFile()
  const database = await open(file)
  const people = database.collection('people', { key: 'id' })
  await people.put({ id: 1 })
  const refused = spawnSync(command, ['count', file, 'people'], { encoding: 'utf8' })
  assert.equal(refused.status, 4, refused.stderr)
  assert.match(refused.stderr, new RegExp(`process ${process.pid} `))
  await database.close()

  const watcher = start(command, ['watch', file, 'people', ''])
  await watcher.said(lines => lines.length > 0)
  const error = await lockedFor(file)
  assert.match(error.message, new RegExp(`process ${watcher.pid} `))
  await watcher.kill()
  const again = await open(file)
  assert.deepEqual(await again.collection('people').get(1), { id: 1 })
  await again.close()
})

test('a file made by the command is read and written here, and the other way round', withCommand, async () => {
  const file = newFile()
  const lightning = (...args) => execFileSync(command, args, { encoding: 'utf8' })
  const rows = [
    { id: 2, name: 'Turku', country: 'FI', population: 195_000, tags: ['port', 'old'] },
    { id: 1, name: 'Oulu', country: 'FI', population: 211_000 },
    { id: 10, name: 'Lund', country: 'SE', population: 94_000, tags: ['old'] },
  ]
  const lines = path.join(folder, 'cities.jsonl')
  fs.writeFileSync(lines, rows.map(row => `${JSON.stringify(row)}\n`).join(''))
  lightning('import', file, 'cities', lines, '--key', 'id', '--index', 'country', '--unique', 'name', '--multi', 'tags')
  lightning('put', file, 'words', 'one', 'yksi')

  const database = await open(file)
  const cities = database.collection('cities')
  assert.deepEqual(await cities.getBy('name', 'Turku'), rows[0])
  assert.deepEqual((await cities.where('country').equals('FI').orderBy('population', 'descending').toArray()).map(({ id }) => id), [1, 2])
  assert.deepEqual((await cities.describe()).indexes.map(({ name, entries }) => [name, entries]), [
    ['country', 3],
    ['name', 3],
    ['tags', 4],
  ])
  const { problems, documents } = await database.verify()
  assert.deepEqual([problems, documents], [[], 3])
  await cities.put({ id: 3, name: 'Åbo', country: 'FI', founded: new Date('1229-01-01T00:00:00Z') })
  await cities.delete(10)
  const words = database.table('words', { key: 'string', value: 'string' })
  assert.equal(await words.get('one'), 'yksi')
  await words.put('two', 'kaksi')
  await database.close()

  const found = lightning('query', file, 'cities', 'where country = "FI" order by id').trim().split('\n').map(line => JSON.parse(line))
  assert.deepEqual(found.map(({ id }) => id), [1, 2, 3])
  assert.equal(lightning('count', file, 'cities').trim(), '3')
  assert.match(lightning('get', file, 'words', 'two'), /kaksi/)
  lightning('check', file)
})
