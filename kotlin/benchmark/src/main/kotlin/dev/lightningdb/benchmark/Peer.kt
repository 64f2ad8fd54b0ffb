package dev.lightningdb.benchmark

import java.nio.file.Path

/** A database, used as its documentation advises: typed values in, typed values out. */
interface Peer : AutoCloseable {
    /** Opens the database in a folder, and makes it where there is none. */
    fun open(folder: Path)

    /** Writes many in one transaction, which is on the medium when this returns. */
    fun putAll(places: List<Place>)

    /** Writes one; on the medium when this returns. */
    fun put(place: Place)

    fun get(id: Long): Place?

    /** In one call where the database has one. */
    fun getMany(ids: List<Long>): List<Place?>

    /** From a population on, in its order. */
    fun range(population: Long, limit: Int): List<Place>

    /** Gives every place, by id. */
    fun scan(each: (Place) -> Unit)

    /** Has [changed] told the places from a population on after each commit that may have changed them, by another thread. */
    fun watch(population: Long, changed: (List<Place>) -> Unit): AutoCloseable

    companion object {
        /** Megabytes that those may keep in memory who can be told; files that are mapped know no limit. */
        val MEMORY_MB: Int = Integer.getInteger("memory", 64)

        val ALL: Map<String, () -> Peer> = linkedMapOf(
            "lightning" to ::Lightning,
            "sqlite" to ::Sqlite,
            "mapdb" to ::MapDb,
            "mvstore" to ::MvStore,
            "objectbox" to ::ObjectBox,
        )
    }
}

/** For databases that tell nobody of changes: a thread asks again after each commit, as an application would. */
class Asking(private val ask: () -> List<Place>, private val changed: (List<Place>) -> Unit) : AutoCloseable {
    private val commits = java.util.concurrent.LinkedBlockingQueue<Boolean>()
    private val thread = Thread {
        changed(ask())
        while (commits.take()) changed(ask())
    }.apply { start() }

    fun committed() {
        commits.put(true)
    }

    override fun close() {
        commits.put(false)
        thread.join()
    }
}
