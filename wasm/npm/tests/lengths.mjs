// Texts of every length come back as they were, wherever the bytes that are written are about to grow.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../dist/sync-node.js'

test('text of any length is written whole where the bytes grow', () => {
  for (let before = 930; before < 1010; before += 3) {
    for (const length of [0, 23, 24, 40, 47]) {
      const document = { id: 1, pad: 'x'.repeat(before), big: 'y'.repeat(length), last: 'é' }
      // A writer of its own each time: what has grown stays large.
      const fresh = open('lengths', { storage: 'memory' })
      fresh.collection('documents', { key: 'id' }).put(document)
      assert.deepEqual(fresh.collection('documents').get(1), document)
      fresh.close()
    }
  }
})
