// The script that a page fetches when it is first asked for what is in it. What `index.js` has, it has from there.

export * from './managing.js'
export * from './more.js'
