// swift-tools-version: 6.0
// Lightning DB for Swift. On Apple's systems it stands on the XCFramework beside this file; elsewhere on the library that
// `cargo xtask package swift` has put into `lib`.
import Foundation
import PackageDescription

let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path
let framework = "LightningDBFFI.xcframework"
let hasFramework = FileManager.default.fileExists(atPath: folder + "/" + framework)

let ffi: Target = hasFramework
    ? .binaryTarget(name: "LightningDBFFI", path: framework)
    : .systemLibrary(name: "LightningDBFFI")

let link: [LinkerSetting] = hasFramework
    ? []
    : [
        .unsafeFlags(["-L\(folder)/lib", "-Xlinker", "-l:liblightning_db_mobile.a"]),
        // Observation of Swift 6.0 names a function that it calls before it gives up, and that no library of Linux has.
        .unsafeFlags(["-Xlinker", "--allow-shlib-undefined"], .when(platforms: [.linux])),
        .linkedLibrary("m"), .linkedLibrary("dl"), .linkedLibrary("pthread"),
    ]

// Xcode gathers what the packages of an application say of privacy; nobody else asks.
let privacy = "PrivacyInfo.xcprivacy"
#if os(macOS)
    let (unused, resources): ([String], [Resource]) = ([], [.copy(privacy)])
#else
    let (unused, resources): ([String], [Resource]) = ([privacy], [])
#endif

let package = Package(
    name: "LightningDB",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "LightningDB", targets: ["LightningDB"])],
    targets: [
        ffi,
        // What UniFFI has made of the interface; nobody but LightningDB uses it.
        .target(name: "LightningDBGenerated", dependencies: ["LightningDBFFI"], swiftSettings: [.swiftLanguageMode(.v5)]),
        .target(
            name: "LightningDB",
            dependencies: ["LightningDBFFI", "LightningDBGenerated"],
            exclude: unused,
            resources: resources,
            linkerSettings: link
        ),
        .testTarget(name: "LightningDBTests", dependencies: ["LightningDB"]),
    ]
)
