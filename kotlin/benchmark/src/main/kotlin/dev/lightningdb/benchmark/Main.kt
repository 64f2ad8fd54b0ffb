package dev.lightningdb.benchmark

import java.io.BufferedReader
import java.io.File
import java.nio.file.Files
import java.nio.file.Path
import kotlin.io.path.absolutePathString
import kotlin.io.path.createDirectories

private val PHASES = listOf("load", "put", "get", "getMany", "range", "scan", "watch")

private val USAGE = """
    The package for Kotlin beside other databases on Java.
      --places N     documents, 100000 unless given
      --rounds N     rounds, 5 unless given; one more before them does not count
      --peers A,B    beside only these of ${Peer.ALL.keys.drop(1).joinToString()}
      --memory MB    for those who can be told, 64 unless given
      --engine MICROS  what the engine itself takes for a get of 100 bytes
      --dir PATH     where the databases are made
      --quick        2,000 documents, 1 round
      --reads A      reads of this one alone, in the processor's time: for machines that are busy
""".trimIndent()

fun main(arguments: Array<String>) {
    when (arguments.firstOrNull()) {
        "worker" -> return work(Worker(arguments[1], Path.of(arguments[2]), Sizes.of(arguments[3].toLong())))
        "open" -> return answer(coldOpen(arguments[1], Path.of(arguments[2])))
        "memory" -> return answer(memory(arguments[1], Path.of(arguments[2]), arguments[3].toLong()))
        "--help" -> return println(USAGE)
    }
    fun given(name: String) = arguments.indexOf(name).takeIf { it >= 0 }?.let { arguments[it + 1] }
    val isQuick = "--quick" in arguments
    val places = given("--places")?.toLong() ?: if (isQuick) 2_000 else 100_000
    val rounds = given("--rounds")?.toInt() ?: if (isQuick) 1 else 5
    val peers = listOf("lightning") + (given("--peers")?.split(",") ?: Peer.ALL.keys.drop(1)).filter { it != "lightning" }
    val unknown = peers - Peer.ALL.keys
    require(unknown.isEmpty()) { "there is no peer ${unknown.joinToString()}\n$USAGE" }
    val folder = Path.of(given("--dir") ?: System.getProperty("java.io.tmpdir")).resolve("kotlin-bench-${ProcessHandle.current().pid()}")
    try {
        given("--reads")?.let { return reads(it, folder.createDirectories(), places, rounds) }
        Measurement(peers, places, rounds, given("--memory")?.toInt() ?: Peer.MEMORY_MB, folder.createDirectories()).run(given("--engine")?.toDouble())
    } finally {
        folder.toFile().deleteRecursively()
    }
}

private fun answer(number: Double) = println("= $number")

private fun work(worker: Worker) {
    while (true) answer(worker.run(readlnOrNull() ?: return))
}

private class Measurement(val peers: List<String>, val places: Long, val rounds: Int, val memoryMb: Int, val folder: Path) {
    private val samples = LinkedHashMap<String, MutableMap<String, MutableList<Double>>>()

    private fun note(what: String, peer: String, value: Double) {
        samples.getOrPut(what) { linkedMapOf() }.getOrPut(peer) { mutableListOf() } += value
    }

    fun run(engineMicros: Double?) {
        val workers = peers.associateWith { Asked(process(listOf("-Dmemory=$memoryMb", "-Xmx1g"), "worker", it, folder.absolutePathString(), "$places")) }
        for (round in 0..rounds) {
            val order = peers.indices.map { peers[(it + round) % peers.size] }
            for (phase in PHASES + "close") for (peer in order) {
                val took = workers.getValue(peer).ask(phase)
                if (round > 0 && phase in PHASES) note(TITLES.getValue(phase), peer, took)
                System.err.println("round $round: $phase of $peer: $took µs")
            }
            for (peer in order) {
                val own = folder.resolve("$peer-${round + 1}")
                if (round > 0) {
                    note("bytes on disk for a document", peer, own.toFile().walk().filter(File::isFile).sumOf(File::length) / places.toDouble())
                    repeat(3) { note("open and first get in a new process, ms", peer, once("open", peer, own.absolutePathString()) / 1e3) }
                }
                own.toFile().deleteRecursively()
            }
        }
        val bytes = workers.getValue("lightning").run {
            ask("load")
            List(rounds) { ask("bytes") }.also { ask("close") }
        }
        workers.values.forEach(Asked::close)
        val nothing = List(3) { once("memory", "nothing", "", "0") }.median()
        repeat(2) { round ->
            for (peer in peers) {
                val own = folder.resolve("memory-$peer-$round")
                note("peak memory beyond an idle Java, with 10 MB, MiB", peer, once("memory", peer, own.absolutePathString(), "$places") - nothing)
                own.toFile().deleteRecursively()
            }
        }
        println(table())
        println("an idle Java takes %.0f MiB".format(nothing))
        val call = bytes.median()
        val beyond = engineMicros?.let { ", %.2f beyond the engine's own %.2f".format(call - it, it) }.orEmpty()
        println("get of 100 bytes from a table: %.2f µs%s".format(call, beyond))
    }

    private fun process(options: List<String>, vararg arguments: String): Process {
        val java = Path.of(System.getProperty("java.home"), "bin", "java").toString()
        // The others map files and reach into Java, which it has to be told.
        val opens = listOf("--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED", "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED")
        val command = listOf(java) + opens + options + listOf("-cp", System.getProperty("java.class.path"), "dev.lightningdb.benchmark.MainKt") + arguments
        // ObjectBox puts its library where it is run.
        return ProcessBuilder(command).directory(folder.toFile()).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    }

    private fun once(vararg arguments: String): Double =
        Asked(process(listOf("-Dmemory=10", "-Xmx64m", "-XX:+UseSerialGC"), *arguments)).use { it.answer() }

    private fun table(): String = buildString {
        appendLine("|  | " + peers.joinToString(" | ") + " | best peer | best / ours |")
        appendLine("|---|" + "--:|".repeat(peers.size) + "---|--:|")
        for ((what, values) in samples) {
            val medians = values.mapValues { it.value.median() }
            val best = medians.filterKeys { it != "lightning" }.minByOrNull { it.value }
            val ratio = best?.let { "%.2f".format(it.value / medians.getValue("lightning")) }.orEmpty()
            appendLine("| $what | " + peers.joinToString(" | ") { figure(medians.getValue(it)) } + " | ${best?.key.orEmpty()} | $ratio |")
        }
    }
}

private fun figure(number: Double) = if (number < 10) "%.2f".format(number) else if (number < 100) "%.1f".format(number) else "%.0f".format(number)

private fun List<Double>.median(): Double = sorted().let { (it[(it.size - 1) / 2] + it[it.size / 2]) / 2 }

private val TITLES = mapOf(
    "load" to "load, µs a document",
    "put" to "put, durable, µs",
    "get" to "get, one by one, µs",
    "getMany" to "get, $MANY in one call, µs each",
    "range" to "range by an index, 20 rows, µs",
    "scan" to "scan, µs a document",
    "watch" to "watch: from a put to the new rows, µs",
)

/** A process that answers each line with one. */
private class Asked(private val process: Process) : AutoCloseable {
    private val answers: BufferedReader = process.inputStream.bufferedReader()

    fun ask(what: String): Double {
        process.outputStream.write("$what\n".encodeToByteArray())
        process.outputStream.flush()
        return answer()
    }

    fun answer(): Double {
        while (true) {
            val line = checkNotNull(answers.readLine()) { "a measuring process ended before it answered" }
            if (line.startsWith("= ")) return line.substring(2).toDouble()
        }
    }

    override fun close() {
        process.outputStream.close()
        while (answers.readLine() != null) Unit
        check(process.waitFor() == 0) { "a measuring process ended with ${process.exitValue()}" }
    }
}
