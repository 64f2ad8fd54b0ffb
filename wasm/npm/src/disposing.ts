// Names of the methods that `using` calls, for programs whose TypeScript knows of them; there are none for the others.

type Named<Name extends string> = SymbolConstructor extends { readonly [N in Name]: infer S extends symbol } ? S : never

/** What `using` ends. */
export type Disposing<R = void> = { readonly [S in Named<'dispose'>]: () => R }
/** What `await using` ends. */
export type AsyncDisposing = { readonly [S in Named<'asyncDispose'>]: () => PromiseLike<void> }
