package dev.lightningdb.internal

import java.io.InputStream
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption
import java.security.MessageDigest

/**
 * The calls that are made most, straight into the library. `scope` is 0, or the handle of a snapshot or transaction; what is
 * packed has the length of each part before it, 4 bytes, lowest first.
 */
internal object Native {
    init {
        Library.load()
    }

    @JvmStatic external fun get(scope: Long, target: Long, key: ByteArray): ByteArray?

    @JvmStatic external fun getMany(scope: Long, target: Long, keys: ByteArray): ByteArray

    @JvmStatic external fun put(scope: Long, target: Long, mode: Int, key: ByteArray, value: ByteArray): ByteArray?

    @JvmStatic external fun delete(scope: Long, target: Long, key: ByteArray): Boolean

    @JvmStatic external fun batch(scope: Long, writes: ByteArray)

    /** Gives the handle of a cursor, 8 bytes, 0 where there are no more rows, and rows behind it. */
    @JvmStatic external fun query(scope: Long, collection: Long, query: ByteArray, size: Int): ByteArray

    @JvmStatic
    @Suppress("LongParameterList")
    external fun scan(
        scope: Long,
        table: Long,
        lower: ByteArray?,
        includesLower: Boolean,
        upper: ByteArray?,
        includesUpper: Boolean,
        backwards: Boolean,
        limit: Long,
        size: Int,
    ): ByteArray

    @JvmStatic external fun next(cursor: Long, size: Int): ByteArray

    @JvmStatic external fun release(handle: Long)
}

/** What [Native] throws. [fields] are names and values in turn, packed. */
internal class NativeFailure(
    val number: Int,
    val name: String,
    val isRetryable: Boolean,
    val text: String,
    val fields: ByteArray,
) : RuntimeException(text, null, false, false)

/**
 * The library, which has two entries: [Native]'s, and that of the generated interface, which JNA calls. Both must be of one copy, or
 * the one would not know what the other has opened; so both are told the same path.
 */
internal object Library {
    private const val NAME = "lightning_db_mobile"

    private val loaded: Unit by lazy {
        if (System.getProperty("java.vm.vendor").orEmpty().contains("Android")) {
            System.loadLibrary(NAME)
        } else {
            val path = file().toAbsolutePath().toString()
            System.setProperty("uniffi.component.lightning_db.libraryOverride", path)
            System.load(path)
        }
    }

    fun load() = loaded

    private fun file(): Path {
        val resource = "/dev/lightningdb/native/${system()}-${processor()}/${System.mapLibraryName(NAME)}"
        val stream = Library::class.java.getResourceAsStream(resource)
            ?: throw UnsatisfiedLinkError("this JAR of Lightning DB has no library for ${system()} on ${processor()} ($resource)")
        return stream.use(::extracted)
    }

    /** A file of its own for each content, so that processes with different versions do not take it from each other. */
    private fun extracted(stream: InputStream): Path {
        val bytes = stream.readBytes()
        val digest = MessageDigest.getInstance("SHA-256").digest(bytes).take(12).joinToString("") { "%02x".format(it) }
        val user = System.getProperty("user.name").orEmpty().filter(Char::isLetterOrDigit)
        val folder = Path.of(System.getProperty("java.io.tmpdir"), "lightning-db-$user-$digest")
        val file = folder.resolve(System.mapLibraryName(NAME))
        if (Files.isRegularFile(file) && Files.readAllBytes(file).contentEquals(bytes)) return file
        Files.createDirectories(folder)
        val own = Files.createTempFile(folder, NAME, ".part")
        Files.write(own, bytes)
        Files.move(own, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE)
        return file
    }

    private fun system(): String {
        val name = System.getProperty("os.name").lowercase()
        return when {
            name.startsWith("mac") -> "macos"
            name.startsWith("windows") -> "windows"
            else -> "linux"
        }
    }

    private fun processor(): String = when (val name = System.getProperty("os.arch").lowercase()) {
        "amd64", "x86_64" -> "x86_64"
        "aarch64", "arm64" -> "aarch64"
        else -> name
    }
}
