// Tables of every type that the file names: how keys and values are stored, as docs/file-format.md has it, and in which order they come.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../dist/node.js'
import { readBytes } from './values.mjs'

const inMemory = () => open('memory', { storage: 'memory' })
const digits = bytes => Buffer.from(bytes).toString('hex')

/** Keys in ascending order, each with its bytes. */
const KEYS = {
  u8: [[0, '00'], [255, 'ff']],
  u16: [[0, '0000'], [258, '0102'], [65_535, 'ffff']],
  u32: [[1, '00000001'], [2 ** 32 - 1, 'ffffffff']],
  u64: [[1, '0000000000000001'], [2n ** 64n - 1n, 'ffffffffffffffff']],
  i8: [[-128, '00'], [-1, '7f'], [0, '80'], [127, 'ff']],
  i16: [[-2, '7ffe'], [1, '8001']],
  i32: [[-(2 ** 31), '00000000'], [2 ** 31 - 1, 'ffffffff']],
  i64: [[-(2n ** 63n), '0000000000000000'], [-1, '7fffffffffffffff'], [2n ** 63n - 1n, 'ffffffffffffffff']],
  f64: [[-Infinity, '000fffffffffffff'], [-1.5, '4007ffffffffffff'], [0, '8000000000000000'], [1.5, 'bff8000000000000']],
  bool: [[false, '00'], [true, '01']],
  string: [['', ''], ['a\0', '6100'], ['é', 'c3a9']],
  bytes: [[readBytes(''), ''], [readBytes('0001'), '0001']],
  'bytes[2]': [[readBytes('0001'), '0001'], [readBytes('ff00'), 'ff00']],
  'u64?': [[null, '00'], [0, '010000000000000000']],
  'string?': [[null, '00'], ['', '0100'], ['a', '016100']],
  '(string, u64)': [[['', 1], '000000000000000001'], [['a\0', 0], '610101000000000000000000'], [['a\u0001', 0], '610102000000000000000000']],
  '(u8, (bytes, bool), i16?)': [[[1, [readBytes('00'), true], null], '010101000100'], [[1, [readBytes('00'), true], -1], '0101010001017fff']],
  key: [[null, undefined], [false, undefined], [-1, undefined], [3, undefined], ['a', undefined], [['a', 1], undefined]],
}

const VALUES = {
  u8: [[255, 'ff']],
  u16: [[258, '0201']],
  i32: [[-2, 'feffffff']],
  i64: [[-(2n ** 63n), '0000000000000080'], [2 ** 53 - 1, 'ffffffffffff1f00']],
  u64: [[2n ** 64n - 1n, 'ffffffffffffffff']],
  f64: [[1.5, '000000000000f83f'], [-0, '0000000000000080'], [3, '0000000000000840']],
  bool: [[true, '01'], [false, '00']],
  unit: [[null, '']],
  string: [['é', 'c3a9']],
  bytes: [[readBytes('0001'), '0001']],
  'bytes[2]': [[readBytes('0001'), '0001']],
  value: [[{ a: [1, 'x'] }, 'a16161820161' + '78'], [null, 'f6']],
}

for (const [type, keys] of Object.entries(KEYS)) {
  test(`keys of type ${type}`, async () => {
    const database = await inMemory()
    const table = database.table('table', { key: type, value: 'u8' })
    await table.opened()
    const feed = database.changes()
    for (const [place, [key, bytes]] of [...keys.entries()].reverse()) {
      await table.put(key, place)
      const [{ changes }] = await feed.next()
      if (bytes !== undefined) assert.equal(digits(changes[0].key), bytes)
      assert.equal(await table.get(key), place)
    }
    assert.deepEqual(await table.scan().toArray(), keys.map(([key], place) => [key, place]))
    const [first] = keys[0]
    assert.equal(await table.count({ above: first }), keys.length - 1)
    assert.equal(await table.delete(first), true)
    await database.close()
  })
}

for (const [type, values] of Object.entries(VALUES)) {
  test(`values of type ${type}`, async () => {
    const database = await inMemory()
    const table = database.table('table', { key: 'u8', value: type })
    await table.opened()
    const feed = database.changes()
    for (const [value, bytes] of values) {
      await table.put(1, value)
      const [{ changes }] = await feed.next()
      assert.equal(digits(changes[0].value), bytes)
      assert.deepEqual(await table.get(1), value)
      assert.equal(await table.compareAndSwap(1, undefined, value), false)
      assert.equal(await table.compareAndSwap(1, value, value), true)
      await feed.next()
    }
    await database.close()
  })
}

test('what is not of the type is refused', async () => {
  const database = await inMemory()
  const refused = async (types, key, value) => {
    const table = database.table(JSON.stringify(types), types)
    await assert.rejects(table.put(key, value), { code: 'Invalid' }, JSON.stringify(types))
  }
  await refused({ key: 'u8', value: 'unit' }, 256, null)
  await refused({ key: 'u8', value: 'unit' }, -1, null)
  await refused({ key: 'i8', value: 'unit' }, 128, null)
  await refused({ key: 'i8', value: 'unit' }, 'a', null)
  await refused({ key: 'f64', value: 'unit' }, NaN, null)
  await refused({ key: '(string, u64)', value: 'unit' }, ['a'], null)
  await refused({ key: '(string, u64)', value: 'unit' }, ['a', 1, 2], null)
  await refused({ key: 'bytes[2]', value: 'unit' }, readBytes('00'), null)
  await refused({ key: 'string', value: 'u8' }, 'a', 1.5)
  await refused({ key: 'string', value: 'i64' }, 'a', 2n ** 63n)
  for (const types of [{ key: 'u128' }, { key: 'unit?' }, { key: '(u8' }, { value: '(u8, u8)' }, { key: `${'('.repeat(20)}u8${')'.repeat(20)}` }]) {
    await assert.rejects(database.table('unsupported', types).get(1), { code: 'Unsupported' }, JSON.stringify(types))
  }
  await database.close()
})

test('maps are the same value in whatever order', async () => {
  const database = await inMemory()
  const table = database.table('table')
  await table.put('a', { x: 1, y: 2 })
  assert.equal(await table.compareAndSwap('a', { y: 2, x: 1 }, 'next'), true)
  assert.equal(await table.get('a'), 'next')
  await database.close()
})
