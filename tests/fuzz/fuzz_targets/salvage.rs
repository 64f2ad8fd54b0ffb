#![no_main]
lightning_db_fuzz::files!("salvage");
