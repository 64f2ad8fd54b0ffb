//! Makes the Swift and Kotlin of the interface from a built library: `uniffi-bindgen generate --library …`.

fn main() {
    uniffi::uniffi_bindgen_main();
}
