//! Writes the seeds of the corpus of hostile bytes, which are made from real databases. `cargo xtask fuzz --make-corpus`.

fn main() -> std::io::Result<()> {
    lightning_db_tests::hostile::corpus::make()
}
