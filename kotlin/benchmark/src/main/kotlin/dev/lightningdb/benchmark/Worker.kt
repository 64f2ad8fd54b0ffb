package dev.lightningdb.benchmark

import java.nio.file.Files
import java.nio.file.Path
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlin.io.path.createDirectories

/** Documents asked for by one call of `getMany`. */
const val MANY = 100

/** How much is done in each phase. */
class Sizes(val places: Long, val puts: Int, val gets: Int, val ranges: Int, val watched: Int) {
    companion object {
        fun of(places: Long) = Sizes(places, puts = 100, gets = (places / 2).toInt(), ranges = (places / 500).toInt(), watched = 50)
    }
}

/**
 * One database in a process of its own, which does what it is told line by line: a phase, and answers with what an operation took, in
 * microseconds.
 */
class Worker(private val name: String, private val folder: Path, private val sizes: Sizes) {
    private val peer = Peer.ALL.getValue(name)()
    private var round = 0L
    private var seed = 0L

    /** How often each place was written, which says what it must be. */
    private val versions = HashMap<Long, Long>()

    private fun expected(id: Long) = Place.of(id, versions[id] ?: 0)

    private fun random(): Long = (mix(++seed + (round shl 40)) and Long.MAX_VALUE) % sizes.places

    private fun check(found: Place?, id: Long) {
        check(found == expected(id)) { "$name: place $id is $found" }
    }

    private inline fun micros(count: Int, body: () -> Unit): Double {
        val start = System.nanoTime()
        body()
        return (System.nanoTime() - start) / 1e3 / count
    }

    fun run(phase: String): Double = when (phase) {
        "load" -> {
            round++
            versions.clear()
            val own = folder.resolve("$name-$round").createDirectories()
            val batches = (0 until sizes.places).map { Place.of(it) }.chunked(1000)
            peer.open(own)
            micros(sizes.places.toInt()) { batches.forEach(peer::putAll) }
        }
        "put" -> {
            val ids = List(sizes.puts) { random() }
            val places = ids.map { id -> versions.merge(id, 1, Long::plus).let { Place.of(id, it!!) } }
            micros(sizes.puts) { places.forEach(peer::put) }
        }
        "get" -> {
            val ids = LongArray(sizes.gets) { random() }
            micros(sizes.gets) { for (id in ids) check(peer.get(id), id) }
        }
        "getMany" -> {
            val all = List(sizes.gets / MANY) { List(MANY) { random() } }
            micros(all.size * MANY) { for (ids in all) peer.getMany(ids).forEachIndexed { at, place -> check(place, ids[at]) } }
        }
        "range" -> {
            val from = LongArray(sizes.ranges) { mix(random()) and Long.MAX_VALUE }.map { it % (Place.POPULATION_MAX * 9 / 10) }
            micros(sizes.ranges) {
                for (population in from) {
                    val rows = peer.range(population, 20)
                    check(rows.size == 20) { "$name: ${rows.size} rows" }
                    var before = population
                    for (row in rows) {
                        check(row.population >= before && row == expected(row.id)) { "$name: $row" }
                        before = row.population
                    }
                }
            }
        }
        "scan" -> {
            var next = 0L
            micros(sizes.places.toInt()) { peer.scan { place -> check(place, next++) } }.also { check(next == sizes.places) }
        }
        "watch" -> watch()
        "close" -> {
            peer.close()
            0.0
        }
        "bytes" -> bytes()
        else -> error("there is no phase '$phase'")
    }

    /** From a put on until another thread has all rows, one of which is new. */
    private fun watch(): Double {
        val from = Place.POPULATION_MAX * 99 / 100
        val seen = LinkedBlockingQueue<List<Place>>()
        val watched = peer.watch(from) { seen.put(it) }
        fun next() = checkNotNull(seen.poll(10, TimeUnit.SECONDS)) { "$name: nobody says that anything has changed" }
        var rows = next()
        var nanos = 0L
        repeat(sizes.watched) { time ->
            val place = rows[time % rows.size].let { it.copy(population = it.population + 1) }
            val start = System.nanoTime()
            peer.put(place)
            do rows = next() while (place !in rows)
            nanos += System.nanoTime() - start
        }
        watched.close()
        return nanos / 1e3 / sizes.watched
    }

    /** Gets of 100 bytes under a key of 16, from a table: what a call costs. */
    private fun bytes(): Double {
        val table = (peer as Lightning).table()
        val keys = Array(RECORDS) { at -> "%016x".format(mix(at.toLong())).encodeToByteArray() }
        for (key in keys) table.blocking.put(key, ByteArray(100) { key[it % 16] })
        repeat(2) { for (key in keys) check(table.blocking.get(key)!!.size == 100) }
        return micros(20 * RECORDS) { repeat(20) { for (key in keys) check(table.blocking.get(key)!![99] == key[3]) } }
    }

    companion object {
        private const val RECORDS = 10_000

        /** The most memory that this process has had, in MiB. */
        fun peakMiB(): Double = Files.readAllLines(Path.of("/proc/self/status")).first { it.startsWith("VmHWM") }
            .filter(Char::isDigit).toDouble() / 1024
    }
}

/** Opens what is there, and reads one place. */
fun coldOpen(name: String, folder: Path): Double {
    val start = System.nanoTime()
    val peer = Peer.ALL.getValue(name)()
    peer.open(folder)
    check(peer.get(7)?.id == 7L)
    return (System.nanoTime() - start) / 1e3
}

/** A load and some gets without more memory than they need; gives the peak, in MiB. */
fun memory(name: String, folder: Path, places: Long): Double {
    if (name != "nothing") {
        val peer = Peer.ALL.getValue(name)()
        folder.createDirectories()
        peer.open(folder)
        for (first in 0 until places step 1000) peer.putAll(List(1000) { Place.of(first + it) })
        for (at in 0 until 20_000L) {
            val id = (mix(at) and Long.MAX_VALUE) % places
            check(peer.get(id) == Place.of(id))
        }
        peer.close()
    }
    return Worker.peakMiB()
}
