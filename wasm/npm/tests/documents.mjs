// The operations of scripts on documents: of a collection, in a transaction, in a snapshot.

import { then } from './given.mjs'
import { read, readBytes } from './values.mjs'

const EXPIRES = { never: false, kept: 'kept' }

/** Performs an operation; `tokens` are the page tokens that the script has named. */
export function work(documents, step, kinds, tokens) {
  const value = json => read(json, kinds)
  const document = () => value(step.document)
  const query = () => asked(documents, step, kinds, tokens)
  const orNull = given => then(given, found => found ?? null)
  const done = given => then(given, () => null)
  switch (step.do) {
    case 'put':
      return orNull(documents.put(document(), options(step)))
    case 'putCbor':
      return done(documents.putCbor(readBytes(step.cbor)))
    case 'insert':
      return orNull(documents.insert(document()))
    case 'replace':
      return done(documents.replace(document()))
    case 'get':
      return orNull(documents.get(value(step.key)))
    case 'getMany':
      return then(documents.getMany(step.keys.map(value)), found => found.map(one => one ?? null))
    case 'getBy':
      return orNull(documents.getBy(step.index, ...step.values.map(value)))
    case 'delete':
      return documents.delete(value(step.key))
    case 'update':
      return documents.update(value(step.key), value(step.update))
    case 'swap':
      return documents.compareAndSwap(value(step.expected) ?? undefined, document())
    case 'query':
      return then(query().toArray(), rows => listed(rows, step))
    case 'page':
      // Behind the last page there is none to ask for.
      if ('after' in step && tokens.get(step.after) === null) return []
      return then(query().page(), ({ rows, next }) => {
        if (step.as) tokens.set(step.as, next)
        return listed(rows, step)
      })
    case 'pages':
      return pages(query(), step, [])
    case 'explain':
      return then(query().explain(), how => ({
        index: how.index,
        sorted: how.isSorted,
        filtered: how.looksAtDocuments,
        rows: how.rows,
      }))
    case 'count':
      return query().count()
    case 'min':
    case 'max':
      return query()[step.do](step.path)
    case 'updateWhere':
      return query().update(value(step.update))
    case 'deleteWhere':
      return query().delete()
    case 'describe':
      return orNull(documents.describe())
    case 'dropIndex':
      return documents.dropIndex(step.index)
    default:
      throw new Error(`there is no operation '${step.do}' of collections`)
  }
}

/** The query of an operation; without one all documents. */
export function asked(documents, step, kinds, tokens) {
  const query = documents.query()
  const asks = 'query' in step ? query.asks(read(step.query, kinds)) : query
  return 'after' in step ? asks.after(tokens.get(step.after)) : asks
}

/** Rows as the operation wants to see them. */
export function listed(rows, step) {
  return rows.map(row => shownRow(row, step))
}

export function shownRow(row, step) {
  return step.keys ? (row[step.keys] ?? null) : row
}

function pages(query, step, read) {
  return then(query.page(), ({ rows, next }) => {
    if (rows.length > 0) read.push(listed(rows, step))
    return next === null ? read : pages(query.after(next), step, read)
  })
}

function options({ expires }) {
  if (expires === undefined) return undefined
  return { expires: typeof expires === 'number' ? new Date(expires) : EXPIRES[expires] }
}
