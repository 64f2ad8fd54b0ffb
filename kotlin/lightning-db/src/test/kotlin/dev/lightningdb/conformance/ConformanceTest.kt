package dev.lightningdb.conformance

import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Files
import java.nio.file.Path

class ConformanceTest {
    @TempDir
    lateinit var folder: Path

    @TestFactory
    fun scripts(): List<DynamicTest> {
        val scripts = Script.scripts()
        assertTrue(scripts.size >= SCRIPTS, "there are only ${scripts.size} scripts")
        return scripts.map { script ->
            DynamicTest.dynamicTest(script.fileName.toString()) {
                val counts = Script(Files.createTempDirectory(folder, "script")).run(Files.readString(script))
                assertTrue(counts.done > 0)
                println("${script.fileName}: ${counts.done} operations, ${counts.passedOver} passed over")
            }
        }
    }

    private companion object {
        const val SCRIPTS = 18
    }
}
