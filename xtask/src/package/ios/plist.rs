//! `Info.plist` of an XCFramework: which of its folders is for which system.

use super::Slice;

pub fn of(slices: &[Slice], library: &str) -> String {
    let libraries: String = slices.iter().map(|slice| entry(slice, library)).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n\t<key>AvailableLibraries</key>\n\t<array>\n{libraries}\t</array>\n\
         \t<key>CFBundlePackageType</key>\n\t<string>XFWK</string>\n\
         \t<key>XCFrameworkFormatVersion</key>\n\t<string>1.0</string>\n</dict>\n</plist>\n"
    )
}

fn entry(slice: &Slice, library: &str) -> String {
    let architectures: String =
        slice.targets.iter().map(|(_, name)| format!("\t\t\t\t<string>{name}</string>\n")).collect();
    let variant = if slice.is_simulator {
        "\t\t\t<key>SupportedPlatformVariant</key>\n\t\t\t<string>simulator</string>\n"
    } else {
        ""
    };
    format!(
        "\t\t<dict>\n\t\t\t<key>BinaryPath</key>\n\t\t\t<string>{library}</string>\n\
         \t\t\t<key>HeadersPath</key>\n\t\t\t<string>Headers</string>\n\
         \t\t\t<key>LibraryIdentifier</key>\n\t\t\t<string>{}</string>\n\
         \t\t\t<key>LibraryPath</key>\n\t\t\t<string>{library}</string>\n\
         \t\t\t<key>SupportedArchitectures</key>\n\t\t\t<array>\n{architectures}\t\t\t</array>\n\
         \t\t\t<key>SupportedPlatform</key>\n\t\t\t<string>{}</string>\n{variant}\t\t</dict>\n",
        slice.identifier, slice.platform
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_folder_is_for_one_kind_of_system() {
        let text = super::of(&super::super::SLICES, "liba.a");
        let of_simulator = text.split("<dict>").find(|part| part.contains("ios-arm64_x86_64-simulator")).unwrap();
        for part in
            ["<string>arm64</string>", "<string>x86_64</string>", "<string>simulator</string>", "<string>ios</string>"]
        {
            assert!(of_simulator.contains(part), "{part} in {of_simulator}");
        }
        assert_eq!(text.matches("<key>LibraryIdentifier</key>").count(), 3);
        assert_eq!(text.matches("<key>SupportedPlatformVariant</key>").count(), 1);
        assert_eq!(text.matches("<dict>").count(), text.matches("</dict>").count());
    }
}
