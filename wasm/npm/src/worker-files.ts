// The script of the dedicated worker that pages begin with. What belongs to IndexedDB it leaves to the other.

import { serve } from './serve.js'

serve(globalThis as never)
