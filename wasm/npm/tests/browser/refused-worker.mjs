// The package's worker in a browser that knows the call for synchronous file handles, and gives none.

import { serve } from '../../dist/serve.js'

FileSystemFileHandle.prototype.createSyncAccessHandle = () => Promise.reject(new DOMException('Not here', 'NotSupportedError'))
serve(self)
