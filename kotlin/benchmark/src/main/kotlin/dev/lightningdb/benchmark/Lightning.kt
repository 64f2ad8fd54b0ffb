package dev.lightningdb.benchmark

import dev.lightningdb.Collection
import dev.lightningdb.Database
import dev.lightningdb.Options
import dev.lightningdb.Table
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import java.nio.file.Path

/** Ours. */
class Lightning : Peer {
    private lateinit var database: Database
    private lateinit var places: Collection<Place>

    override fun open(folder: Path) {
        database = Database.openBlocking(folder.resolve("places.ldb"), Options(memoryBudgetBytes = Peer.MEMORY_MB * 1_000_000L))
        places = database.collectionBlocking("places", key = Place::id) { unique(Place::code); index(Place::population) }
    }

    override fun putAll(places: List<Place>) = this.places.blocking.putMany(places)

    override fun put(place: Place) {
        places.blocking.put(place)
    }

    override fun get(id: Long): Place? = places.blocking.get(id)

    override fun getMany(ids: List<Long>): List<Place?> = places.blocking.getMany(ids)

    override fun range(population: Long, limit: Int): List<Place> =
        places.where(Place::population).from(population).orderBy(Place::population).limit(limit).toListBlocking()

    override fun scan(each: (Place) -> Unit) = places.query().forEachBlocking(each)

    override fun watch(population: Long, changed: (List<Place>) -> Unit): AutoCloseable {
        val scope = CoroutineScope(Dispatchers.Default)
        scope.launch { places.where(Place::population).from(population).orderBy(Place::population).watch().collect { changed(it) } }
        return AutoCloseable { scope.cancel() }
    }

    /** A table of keys and values of bytes, for the calls alone. */
    fun table(): Table<ByteArray, ByteArray> = runBlocking { database.table("bytes") }

    override fun close() = database.close()
}
