// One of several users of the same link.

import { LightningError } from './errors.js'
import type { AsyncLink, Link } from './link.js'

/** A link of its own that ends by itself, and leaves the other as it is. */
export function leased(link: AsyncLink): { link: Link<'async'>; end(): void } {
  let ended = false
  return {
    link: {
      mode: 'async',
      numbers: link.numbers,
      get generation() {
        return link.generation
      },
      ask: (operation, durable, args, answer) =>
        ended ? Promise.reject(new LightningError('Closed')) : link.ask(operation, durable, args, answer),
      then: (given, next) => link.then(given, next),
      finally: (given, last) => link.finally(given, last),
      given: value => link.given(value),
      attempt: run => link.attempt(run),
      listen: (live, listener) => link.listen(live, listener),
      forget: live => link.forget(live),
      more: forCollection => link.more(forCollection),
    },
    end: () => {
      ended = true
    },
  }
}
