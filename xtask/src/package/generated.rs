//! What UniFFI writes for Kotlin, made internal to the package, and without declarations of functions that nobody calls.
//!
//! It says no visibility, which in Kotlin means public: everybody would see `dev.lightningdb.internal.Database` beside
//! `dev.lightningdb.Database`, and explicit API mode refuses it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Makes all declarations of the Kotlin files in `folder` internal.
pub fn make_internal(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            make_internal(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "kt") {
            let text = fs::read_to_string(&path)?;
            fs::write(&path, internal(&without_checksums(&text)))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// With `omit_checksums` the functions that give them are not called, but still declared: JNA looks each of them up, and libraries for
/// Android do not have them.
fn without_checksums(text: &str) -> String {
    let mut is_left_out = false;
    let kept = text.split_inclusive('\n').filter(|line| {
        let declares = line.trim_start().strip_prefix("external fun uniffi_");
        is_left_out |= declares.is_some_and(|name| name.contains("_checksum_"));
        // A declaration ends with what it gives.
        let is_last = is_left_out && line.trim_start().starts_with(')');
        let is_kept = !is_left_out;
        is_left_out &= !is_last;
        is_kept
    });
    kept.collect()
}

/// What a declaration without a visibility begins with.
const BEGINNINGS: [&str; 13] = [
    "class ",
    "open class ",
    "data class ",
    "sealed class ",
    "enum class ",
    "interface ",
    "fun interface ",
    "object ",
    "fun ",
    "inline fun ",
    "suspend fun ",
    "typealias ",
    "val ",
];

fn internal(text: &str) -> String {
    let mut result = String::with_capacity(text.len() + text.len() / 50);
    for line in text.lines() {
        match line.strip_prefix("public ") {
            Some(rest) => result.extend(["internal ", rest]),
            None if let Some((indentation, rest)) = function(line) => {
                result.extend([indentation, "internal ", rest]);
            }
            None if BEGINNINGS.iter().any(|beginning| line.starts_with(beginning)) => {
                result.extend(["internal ", line]);
            }
            None => result.push_str(line),
        }
        result.push('\n');
    }
    result
}

/// A function outside of types, or of a companion, as it stands in a line behind what is before it: only these are indented so.
fn function(line: &str) -> Option<(&str, &str)> {
    const BEFORE: [&str; 2] = ["     ", "         */ "];
    let before = BEFORE.into_iter().find(|before| line.strip_prefix(before).is_some_and(is_function))?;
    Some(line.split_at(before.len()))
}

fn is_function(rest: &str) -> bool {
    rest.starts_with("fun `") || rest.starts_with("suspend fun `")
}

#[cfg(test)]
mod tests {
    use super::{internal, without_checksums};

    #[test]
    fn declarations_of_checksums_are_left_out_and_others_are_not() {
        let one = "    external fun uniffi_x_fn_a(\n        a: Int,\n    ): Int\n";
        let checksum = "    external fun uniffi_x_checksum_func_a(\n    ): Int\n";
        let text = ["object A {\n", checksum, checksum, one, checksum, one, "}\n"].concat();
        assert_eq!(without_checksums(&text), ["object A {\n", one, one, "}\n"].concat());
    }

    #[test]
    fn functions_outside_of_types_are_internal_however_they_are_indented() {
        let text =
            "        /**\n         * What.\n         */ fun `a`() {\n     suspend fun `b`() {\n    fun `member`()\n";
        let made = "        /**\n         * What.\n         */ internal fun `a`() {\n     internal suspend fun `b`() {\n    fun `member`()\n";
        assert_eq!(internal(text), made);
    }

    #[test]
    fn declarations_of_the_file_are_internal_and_members_as_they_were() {
        let text = "public interface A {\n    fun f()\n}\nopen class B: A {\n    val x = 1\n}\nprivate class C\ninternal val d = 1\n";
        let made = "internal interface A {\n    fun f()\n}\ninternal open class B: A {\n    val x = 1\n}\nprivate class C\ninternal val d = 1\n";
        assert_eq!(internal(text), made);
    }
}
