// The package's worker in a browser that has no synchronous file handles.

import { serve } from '../../dist/serve.js'

delete FileSystemFileHandle.prototype.createSyncAccessHandle
serve(self)
