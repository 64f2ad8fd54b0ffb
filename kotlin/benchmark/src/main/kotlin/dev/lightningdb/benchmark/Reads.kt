package dev.lightningdb.benchmark

import java.lang.management.ManagementFactory
import java.nio.file.Path
import kotlin.io.path.createDirectories

/**
 * What reads cost in the calling thread's own time, which others on the machine change less than the clock's: medians; and in that of all
 * threads of the process, which is told in steps too large for that: means. Nothing is checked but that there is something.
 */
fun reads(name: String, folder: Path, places: Long, rounds: Int) {
    val threads = ManagementFactory.getThreadMXBean()
    val system = ManagementFactory.getOperatingSystemMXBean() as com.sun.management.OperatingSystemMXBean
    val peer = Peer.ALL.getValue(name)()
    peer.open(folder.resolve(name).createDirectories())
    for (first in 0 until places step 1000) peer.putAll(List(minOf(1000, places - first).toInt()) { Place.of(first + it) })
    var sum = 0L
    fun phase(what: String, count: Int, body: () -> Unit) {
        // Java compiles what it sees to be used.
        repeat(rounds) { body() }
        val before = system.processCpuTime
        val took = List(rounds) {
            val start = threads.currentThreadCpuTime
            body()
            threads.currentThreadCpuTime - start
        }
        val all = (system.processCpuTime - before).toDouble() / rounds
        println("%s, %s: %.0f ns, all threads %.0f".format(name, what, took.sorted()[rounds / 2].toDouble() / count, all / count))
    }
    fun random(at: Long) = (mix(at) and Long.MAX_VALUE) % places
    phase("scan, a document", places.toInt()) { peer.scan { sum += it.population } }
    phase("get, one by one", GETS) { for (at in 0L until GETS) sum += peer.get(random(at))!!.population }
    phase("get, $HOT over and over", GETS) { for (at in 0L until GETS) sum += peer.get(at % HOT)!!.population }
    phase("get, $MANY in one call, each", GETS) {
        for (call in 0L until GETS step MANY.toLong()) for (place in peer.getMany(List(MANY) { random(call + it) })) sum += place!!.population
    }
    phase("range by an index, 20 rows", RANGES) {
        for (at in 0L until RANGES) for (place in peer.range((mix(at) and Long.MAX_VALUE) % (Place.POPULATION_MAX * 9 / 10), 20)) sum += place.population
    }
    check(sum > 0)
    peer.close()
}

private const val GETS = 20_000
private const val HOT = 100
private const val RANGES = 1000
