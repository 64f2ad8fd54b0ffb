import { PGlite } from '/modules/@electric-sql/pglite/dist/index.js'
import { worker } from '/modules/@electric-sql/pglite/dist/worker/index.js'

worker({ init: options => new PGlite(options.dataDir) })
