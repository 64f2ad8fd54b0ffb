package dev.lightningdb.internal

import java.lang.ref.PhantomReference
import java.lang.ref.ReferenceQueue
import java.util.concurrent.ConcurrentHashMap

/**
 * Handles of the library, given back when the object that has them is forgotten: whoever asks for the next one gives back those that were
 * collected meanwhile, so no thread waits for them.
 */
internal object Handles {
    private class Held(owner: Any, val giveBack: () -> Unit) : PhantomReference<Any>(owner, forgotten)

    private val forgotten = ReferenceQueue<Any>()
    private val held: MutableSet<Held> = ConcurrentHashMap.newKeySet()

    /** Has [giveBack], which does not know [owner], called after that was forgotten. */
    fun keep(owner: Any, giveBack: () -> Unit) {
        while (true) {
            val gone = forgotten.poll() as Held? ?: break
            held -= gone
            gone.giveBack()
        }
        held += Held(owner, giveBack)
    }
}

/** A collection or table that is open, for all that read and write it; it keeps its database, or snapshot, from being forgotten. */
internal class Opened(val handle: Long, @Suppress("unused") private val within: Any) {
    init {
        Handles.keep(this, releasing(handle))
    }

    private companion object {
        // What gives a handle back knows nothing else.
        fun releasing(handle: Long): () -> Unit = { Native.release(handle) }
    }
}
