package dev.lightningdb.benchmark

import io.objectbox.Box
import io.objectbox.BoxStore
import io.objectbox.query.Query
import java.nio.file.Path

/** ObjectBox on Java, with the classes that its own generator makes. Its ids begin with 1. */
class ObjectBox : Peer {
    private lateinit var store: BoxStore
    private lateinit var box: Box<PlaceEntity>
    private lateinit var range: Query<PlaceEntity>

    override fun open(folder: Path) {
        store = MyObjectBox.builder().directory(folder.resolve("objectbox").toFile()).build()
        box = store.boxFor(PlaceEntity::class.java)
        range = from(0)
    }

    private fun from(population: Long) =
        box.query(PlaceEntity_.population.greaterOrEqual(population)).order(PlaceEntity_.population).build()

    private fun entity(place: Place) = PlaceEntity(
        place.id + 1, place.code, place.name, place.country, place.population, place.latitude, place.longitude,
    )

    private fun place(entity: PlaceEntity) = Place(
        entity.id - 1, entity.code, entity.name, entity.country, entity.population, entity.latitude, entity.longitude,
    )

    override fun putAll(places: List<Place>) = box.put(places.map(::entity))

    override fun put(place: Place) {
        box.put(entity(place))
    }

    override fun get(id: Long): Place? = box.get(id + 1)?.let(::place)

    override fun getMany(ids: List<Long>): List<Place?> = box.get(LongArray(ids.size) { ids[it] + 1 }).map(::place)

    override fun range(population: Long, limit: Int): List<Place> {
        range.setParameter(PlaceEntity_.population, population)
        return range.find(0, limit.toLong()).map(::place)
    }

    override fun scan(each: (Place) -> Unit) = box.all.forEach { each(place(it)) }

    override fun watch(population: Long, changed: (List<Place>) -> Unit): AutoCloseable {
        val query = from(population)
        val subscription = query.subscribe().observer { rows -> changed(rows.map(::place)) }
        return AutoCloseable {
            subscription.cancel()
            query.close()
        }
    }

    override fun close() {
        range.close()
        store.close()
    }
}
