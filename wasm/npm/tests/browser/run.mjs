// Runs the conformance scripts in a browser, in each place that it has. A cell that did not run is a failure.

import * as fs from 'node:fs'
import { Matrix } from '../matrix.mjs'
import { browser, launch, newProfile, testPage } from './driver.mjs'
import { serve } from './server.mjs'
import { conclude, fail, pass } from '../tally.mjs'

const table = JSON.parse(fs.readFileSync(new URL('../matrix.json', import.meta.url), 'utf8'))
const matrix = new Matrix(table, browser)
const { address, close } = await serve()
const profile = newProfile()
const context = await launch(profile)
try {
  const page = await testPage(context, address)
  for (const place of matrix.places) {
    const [storage, how] = place.split(/ (.*)/)
    for (const script of matrix.scripts) {
      try {
        const ran = await page.evaluate(
          ([script, storage, how]) =>
            how ? window.tests.conformanceWithoutPromises(script, storage) : window.tests.conformance(script, storage),
          [script, storage, how],
        )
        matrix.ran(place, script, ran)
        pass()
      } catch (error) {
        fail(`${script}, ${place}`, error.message)
      }
    }
  }
} finally {
  await context.close()
  close()
  fs.rmSync(profile, { recursive: true, force: true })
}
console.log(matrix.lines().join('\n'))
const differences = matrix.differences()
if (differences.length > 0) fail('every script ran whole in every place', differences.join('\n'))
else pass()
conclude()
