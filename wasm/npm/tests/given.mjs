// What a method gives, with promises or without: the runner of scripts is the same for both.

/** Goes on with what was given. */
export function then(given, next) {
  return given instanceof Promise ? given.then(next) : next(given)
}

/** Runs something and goes on with its error or what it gives. */
export function settled(run, next) {
  let given
  try {
    given = run()
  } catch (error) {
    return next(error)
  }
  return given instanceof Promise ? given.then(value => next(undefined, value), error => next(error)) : next(undefined, given)
}

/** Does something with each, one after the other. */
export function each(list, run) {
  const from = at => (at === list.length ? undefined : then(run(list[at]), () => from(at + 1)))
  return from(0)
}
