// Counts of tests, and the last line of a runner, which whoever runs several looks for.

let passed = 0
let failed = 0

/** How many there were so far. */
export const count = () => passed + failed

export function pass(what) {
  passed++
  if (what !== undefined) console.log(`ok ${what}`)
}

export function fail(what, error) {
  failed++
  console.log(`FAILED ${what}\n${error?.stack ?? error}`)
}

/** Runs one test: it fails where that throws. */
export async function test(what, run) {
  try {
    await run()
    pass(what)
  } catch (error) {
    fail(what, error)
  }
}

/** The last line; the program's exit code says the same. */
export function conclude() {
  console.log(`test result: ${failed === 0 ? 'ok' : 'FAILED'}. ${passed} passed; ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}
