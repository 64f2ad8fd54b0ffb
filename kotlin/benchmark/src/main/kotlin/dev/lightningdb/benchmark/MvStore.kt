package dev.lightningdb.benchmark

import org.h2.mvstore.DataUtils
import org.h2.mvstore.MVMap
import org.h2.mvstore.MVStore
import org.h2.mvstore.WriteBuffer
import org.h2.mvstore.type.BasicDataType
import org.h2.mvstore.type.LongDataType
import org.h2.mvstore.type.StringDataType
import java.nio.ByteBuffer
import java.nio.file.Path

/** H2's MVStore: maps of typed values, indexes kept by hand, a commit and a sync for what is to be durable. */
class MvStore : Peer {
    private lateinit var store: MVStore
    private lateinit var places: MVMap<Long, Place>
    private lateinit var codes: MVMap<String, Long>
    private lateinit var populations: MVMap<Entry, Boolean>
    private var asking: Asking? = null

    override fun open(folder: Path) {
        store = MVStore.Builder().fileName(folder.resolve("places.mv").toString()).cacheSize(Peer.MEMORY_MB).autoCommitDisabled().open()
        places = store.openMap("places", MVMap.Builder<Long, Place>().keyType(LongDataType.INSTANCE).valueType(PlaceType))
        codes = store.openMap("codes", MVMap.Builder<String, Long>().keyType(StringDataType.INSTANCE).valueType(LongDataType.INSTANCE))
        populations = store.openMap("populations", MVMap.Builder<Entry, Boolean>().keyType(EntryType).valueType(NothingType))
    }

    private fun write(place: Place) {
        val old = places.put(place.id, place)
        if (old != null) {
            codes.remove(old.code)
            populations.remove(Entry(old.population, old.id))
        }
        codes[place.code] = place.id
        populations[Entry(place.population, place.id)] = true
    }

    override fun putAll(places: List<Place>) {
        places.forEach(::write)
        store.commit()
        store.sync()
    }

    override fun put(place: Place) {
        write(place)
        store.commit()
        store.sync()
        asking?.committed()
    }

    override fun get(id: Long): Place? = places[id]

    override fun getMany(ids: List<Long>): List<Place?> = ids.map(places::get)

    override fun range(population: Long, limit: Int): List<Place> {
        val rows = ArrayList<Place>()
        val entries = populations.keyIterator(Entry(population, 0))
        while (rows.size < limit && entries.hasNext()) places[entries.next().id]?.let(rows::add)
        return rows
    }

    override fun scan(each: (Place) -> Unit) {
        val cursor = places.cursor(null)
        while (cursor.hasNext()) {
            cursor.next()
            each(cursor.value)
        }
    }

    override fun watch(population: Long, changed: (List<Place>) -> Unit): AutoCloseable {
        val asking = Asking({ range(population, Int.MAX_VALUE) }, changed)
        this.asking = asking
        return AutoCloseable {
            this.asking = null
            asking.close()
        }
    }

    override fun close() = store.close()

    data class Entry(val population: Long, val id: Long)

    private object EntryType : BasicDataType<Entry>() {
        override fun compare(a: Entry, b: Entry): Int =
            if (a.population != b.population) a.population.compareTo(b.population) else a.id.compareTo(b.id)

        override fun getMemory(entry: Entry): Int = 40

        override fun write(buffer: WriteBuffer, entry: Entry) {
            buffer.putVarLong(entry.population).putVarLong(entry.id)
        }

        override fun read(buffer: ByteBuffer) = Entry(DataUtils.readVarLong(buffer), DataUtils.readVarLong(buffer))

        override fun createStorage(size: Int): Array<Entry?> = arrayOfNulls(size)
    }

    private object NothingType : BasicDataType<Boolean>() {
        override fun getMemory(value: Boolean): Int = 0

        override fun write(buffer: WriteBuffer, value: Boolean) = Unit

        override fun read(buffer: ByteBuffer) = true

        override fun createStorage(size: Int): Array<Boolean?> = arrayOfNulls(size)
    }

    private object PlaceType : BasicDataType<Place>() {
        override fun getMemory(place: Place): Int = 250

        override fun write(buffer: WriteBuffer, place: Place) {
            buffer.putVarLong(place.id)
            for (text in arrayOf(place.code, place.name, place.country)) {
                val bytes = text.encodeToByteArray()
                buffer.putVarInt(bytes.size).put(bytes)
            }
            buffer.putVarLong(place.population).putLong(place.latitude.toRawBits()).putLong(place.longitude.toRawBits())
        }

        override fun read(buffer: ByteBuffer) = Place(
            DataUtils.readVarLong(buffer), text(buffer), text(buffer), text(buffer), DataUtils.readVarLong(buffer),
            Double.fromBits(buffer.getLong()), Double.fromBits(buffer.getLong()),
        )

        private fun text(buffer: ByteBuffer): String = ByteArray(DataUtils.readVarInt(buffer)).also(buffer::get).decodeToString()

        override fun createStorage(size: Int): Array<Place?> = arrayOfNulls(size)
    }
}
