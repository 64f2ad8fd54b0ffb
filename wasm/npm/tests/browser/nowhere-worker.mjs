// The package's worker in a browser that has neither the origin private file system nor IndexedDB.

import { serve } from '../../dist/serve.js'

if (navigator.storage) Object.defineProperty(navigator.storage, 'getDirectory', { value: undefined })
Object.defineProperty(self, 'indexedDB', { value: undefined })
serve(self)
