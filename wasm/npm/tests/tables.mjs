// The operations of scripts on tables.

import { then } from './given.mjs'
import { read } from './values.mjs'

/** Performs an operation on a table, in a transaction or not, or in a snapshot. */
export function workOnTable(table, step, kinds) {
  const value = json => read(json, kinds)
  const done = given => then(given, () => null)
  const bounds = () => {
    const range = {}
    for (const name of ['from', 'above', 'to', 'below']) if (name in step) range[name] = value(step[name])
    return range
  }
  switch (step.do) {
    case 'put':
    case 'insert':
    case 'replace':
      return done(table[step.do](value(step.key), value(step.value)))
    case 'get':
      return then(table.get(value(step.key)), found => found ?? null)
    case 'delete':
      return table.delete(value(step.key))
    case 'swap':
      return table.compareAndSwap(value(step.key), value(step.expected) ?? undefined, value(step.value))
    case 'increment':
      return table.increment(value(step.key), value(step.by))
    case 'range':
      return table.scan({ ...bounds(), reverse: step.reverse, limit: step.limit }).toArray()
    case 'count':
      return table.count(bounds())
    case 'deleteRange':
      return done(table.deleteRange(bounds()))
    default:
      throw new Error(`there is no operation '${step.do}' of tables`)
  }
}
