// The browser in which these programs run their pages: Chromium, or the one that LIGHTNING_BROWSER names. Each has a module that
// exports the same. Its pages are asked as those of playwright, by `goto`, `evaluate`, `waitForFunction`, `exposeFunction` and
// `close`.

const BROWSERS = { chromium: './chromium.mjs', firefox: './firefox.mjs', webkit: './webkit.mjs' }

/** Its name. */
export const browser = process.env.LIGHTNING_BROWSER ?? 'chromium'
if (!(browser in BROWSERS)) throw new Error(`there is no browser '${browser}'; there are ${Object.keys(BROWSERS).join(', ')}`)

const { newProfile, launch, launchToBeKilled = launch, crash, processOf } = await import(BROWSERS[browser])

/** Where databases can be that stay. */
export const storages = browser === 'webkit' ? ['indexeddb'] : ['opfs', 'indexeddb']

export { newProfile, launch, launchToBeKilled, crash, processOf }
export { testPage } from './test-page.mjs'
