// A page in a browser that only evaluates texts: functions go there as their source, what they take and give as JSON.

import { EventEmitter } from 'node:events'
import { busiest } from './program.mjs'

const POLL_MS = 20
const LIMIT_MS = 30_000
/** What a page has not answered by then it never will. */
const CALL_MS = 180_000
const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

/** Whoever extends it has `call(source, ...texts)`: runs a function of texts in the page, and gives the text that comes of it. */
export class RemotePage extends EventEmitter {
  isClosed = false

  constructor(running) {
    super()
    this.running = running
  }

  async evaluate(run, argument) {
    return this.#evaluated(`await (${run})(given)`, argument)
  }

  async #evaluated(expression, argument) {
    let late
    const limit = new Promise((_, reject) => (late = setTimeout(reject, CALL_MS, new Error(`no answer to ${expression}`))))
    const called = this.call(
      `async text => {
        const given = text === 'nothing' ? undefined : JSON.parse(text)
        return JSON.stringify([${expression}])
      }`,
      argument === undefined ? 'nothing' : JSON.stringify(argument),
    )
    called.catch(() => {})
    try {
      return JSON.parse(await Promise.race([called, limit]))[0] ?? undefined
    } finally {
      clearTimeout(late)
    }
  }

  /** Waits until a function gives something that is true, whichever document is there by then. */
  async waitForFunction(run, argument, { timeout = LIMIT_MS } = {}) {
    let why = ''
    for (const end = performance.now() + timeout; performance.now() < end; await pause(POLL_MS)) {
      try {
        if (await this.#evaluated(`!!(await (${run})(given))`, argument)) return
      } catch (error) {
        why = error.message
      }
    }
    throw new Error(`it was not so within ${timeout / 1000} seconds: ${run} ${why}`)
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
}

/** The process of a page: the one that computes while the page does. */
export function processOf(context, page) {
  return busiest(page.running.pid, () =>
    page.evaluate(() => {
      for (const end = performance.now() + 400; performance.now() < end; );
    }),
  )
}

/** Ends the process of a page at once. */
export async function crash(context, page) {
  process.kill(await processOf(context, page), 'SIGKILL')
}
