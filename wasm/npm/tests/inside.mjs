// What tests reach inside for.

const REMOVE_EXPIRED = 0x54

/** Removes what has expired, all of it, now. */
export async function removeExpired(database) {
  while (await database.link.ask(REMOVE_EXPIRED, false, () => {}, reader => reader.value()));
}
