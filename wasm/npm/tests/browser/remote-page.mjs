// A page in a browser that only evaluates texts: functions go there as their source, what they take and give as JSON.

import { EventEmitter } from 'node:events'
import { busiest } from './program.mjs'

const POLL_MS = 20
const LIMIT_MS = 30_000
const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

/** Whoever extends it has `call(source, ...texts)`: runs a function of texts in the page, and gives the text that comes of it. */
export class RemotePage extends EventEmitter {
  isClosed = false

  constructor(running) {
    super()
    this.running = running
  }

  async evaluate(run, argument) {
    const given = await this.call(
      `async text => JSON.stringify([await (${run})(text === 'nothing' ? undefined : JSON.parse(text))])`,
      argument === undefined ? 'nothing' : JSON.stringify(argument),
    )
    return JSON.parse(given)[0] ?? undefined
  }

  /** Waits until a function gives something that is true. */
  async waitForFunction(run, argument, { timeout = LIMIT_MS } = {}) {
    for (const end = performance.now() + timeout; ; await pause(POLL_MS)) {
      const given = await this.evaluate(run, argument)
      if (given) return given
      if (performance.now() > end) throw new Error(`it was not so within ${timeout / 1000} seconds: ${run}`)
    }
  }

  /** Pages call `window[name]`; this program hears of it a little later. */
  async exposeFunction(name, heard) {
    await this.evaluate(name => {
      window[`${name} calls`] = []
      window[name] = value => void window[`${name} calls`].push(value)
    }, name)
    void (async () => {
      try {
        for (; !this.isClosed; await pause(POLL_MS)) {
          const calls = await this.evaluate(name => window[`${name} calls`].splice(0), name)
          calls.forEach(value => heard(value))
        }
      } catch {
        // The page is gone, with the browser perhaps.
      }
    })()
  }

  /** Its process: the one that computes while the page does. */
  process() {
    return busiest(this.running.pid, () =>
      this.evaluate(() => {
        for (const end = performance.now() + 400; performance.now() < end; );
      }),
    )
  }
}
