// The package's worker in a page that is not from https or localhost: there are no Web Locks, and no origin private file system.

import { serve } from '../../dist/serve.js'

Object.defineProperty(navigator, 'locks', { value: undefined })
Object.defineProperty(self, 'isSecureContext', { value: false })
serve(self)
