package dev.lightningdb.benchmark

import org.mapdb.BTreeMap
import org.mapdb.DB
import org.mapdb.DBMaker
import org.mapdb.DataInput2
import org.mapdb.DataOutput2
import org.mapdb.Serializer
import org.mapdb.serializer.GroupSerializerObjectArray
import org.mapdb.serializer.SerializerArrayTuple
import java.nio.file.Path

/** MapDB with its write-ahead log, trees of typed values and indexes kept by hand. */
class MapDb : Peer {
    private lateinit var database: DB
    private lateinit var places: BTreeMap<Long, Place>
    private lateinit var codes: BTreeMap<String, Long>
    private lateinit var populations: java.util.NavigableSet<Array<Any>>
    private var asking: Asking? = null

    override fun open(folder: Path) {
        database = DBMaker.fileDB(folder.resolve("places.mapdb").toFile()).fileMmapEnableIfSupported().transactionEnable().make()
        places = database.treeMap("places", Serializer.LONG, PlaceSerializer).createOrOpen()
        codes = database.treeMap("codes", Serializer.STRING, Serializer.LONG).createOrOpen()
        populations = database.treeSet("populations", SerializerArrayTuple(Serializer.LONG, Serializer.LONG)).createOrOpen()
    }

    private fun write(place: Place) {
        val old = places.put(place.id, place)
        if (old != null) {
            codes.remove(old.code)
            populations.remove(arrayOf<Any>(old.population, old.id))
        }
        codes[place.code] = place.id
        populations.add(arrayOf<Any>(place.population, place.id))
    }

    override fun putAll(places: List<Place>) {
        places.forEach(::write)
        database.commit()
    }

    override fun put(place: Place) {
        write(place)
        database.commit()
        asking?.committed()
    }

    override fun get(id: Long): Place? = places[id]

    override fun getMany(ids: List<Long>): List<Place?> = ids.map(places::get)

    override fun range(population: Long, limit: Int): List<Place> {
        val rows = ArrayList<Place>()
        for (entry in populations.tailSet(arrayOf<Any>(population))) {
            if (rows.size == limit) break
            places[entry[1] as Long]?.let(rows::add)
        }
        return rows
    }

    override fun scan(each: (Place) -> Unit) = places.values.forEach { each(it!!) }

    override fun watch(population: Long, changed: (List<Place>) -> Unit): AutoCloseable {
        val asking = Asking({ range(population, Int.MAX_VALUE) }, changed)
        this.asking = asking
        return AutoCloseable {
            this.asking = null
            asking.close()
        }
    }

    override fun close() = database.close()

    private object PlaceSerializer : GroupSerializerObjectArray<Place>() {
        override fun serialize(out: DataOutput2, place: Place) {
            out.packLong(place.id)
            out.writeUTF(place.code)
            out.writeUTF(place.name)
            out.writeUTF(place.country)
            out.packLong(place.population)
            out.writeDouble(place.latitude)
            out.writeDouble(place.longitude)
        }

        override fun deserialize(input: DataInput2, available: Int) = Place(
            input.unpackLong(), input.readUTF(), input.readUTF(), input.readUTF(), input.unpackLong(), input.readDouble(), input.readDouble(),
        )
    }
}
