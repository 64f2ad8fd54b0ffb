// swift-tools-version: 6.0
// A small program on the places of the world: `cargo xtask demo --swift` builds it and shows what it does.
import PackageDescription

let package = Package(
    name: "Sample",
    platforms: [.macOS(.v12)],
    dependencies: [.package(name: "LightningDB", path: "..")],
    targets: [.executableTarget(name: "cities", dependencies: [.product(name: "LightningDB", package: "LightningDB")])]
)
