// swift-tools-version: 6.0
// Lightning DB for Swift beside SQLite: a package of its own, so that neither the library nor its tests build it or ask for SQLite.
// `cargo xtask bench swift` runs it.
import PackageDescription

let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v13)],
    dependencies: [.package(name: "LightningDB", path: "..")],
    targets: [
        .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        // The same calls from C, which cost what the library itself does.
        .target(name: "CCalls", dependencies: [.product(name: "LightningDB", package: "LightningDB")]),
        .executableTarget(
            name: "bench",
            dependencies: ["CSQLite", "CCalls", .product(name: "LightningDB", package: "LightningDB")]
        ),
    ]
)
