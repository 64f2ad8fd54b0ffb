// The hook of `lightning-db/react` as React renders it on a server, and what tells queries apart.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { open } from '../dist/node.js'
import { useQuery } from '../dist/react.js'

test('on a server a query is loading, and nothing is asked', () => {
  const never = { identity: { source: {}, form: {} }, watch: () => assert.fail('it was asked') }
  const Page = () => createElement('p', null, JSON.stringify(useQuery(never)))
  assert.match(renderToString(createElement(Page)), /isLoading&quot;:true/)
})

test('queries that ask the same are the same, and others are not', async () => {
  const db = await open('react', { storage: 'memory' })
  const people = db.collection('people', { key: 'id' })
  const text = query => JSON.stringify([query.identity.source === people.query().identity.source, query.identity.form])
  assert.equal(text(people.where('age').from(1).limit(2)), text(people.where('age').from(1).limit(2)))
  assert.notEqual(text(people.where('age').from(1).limit(2)), text(people.where('age').from(2).limit(2)))
  assert.notEqual(people.query().identity.source, db.collection('others', { key: 'id' }).query().identity.source)
  await db.close()
})
