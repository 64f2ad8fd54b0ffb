// What tests reach inside for.

import { then } from './given.mjs'

const REMOVE_EXPIRED = 0x54

/** Removes what has expired, all of it, now. */
export function removeExpired(database) {
  const more = database.link.ask(REMOVE_EXPIRED, false, () => {}, reader => reader.value())
  return then(more, isMore => (isMore ? removeExpired(database) : undefined))
}
