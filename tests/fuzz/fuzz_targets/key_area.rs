#![no_main]
lightning_db_fuzz::bytes!("key_area");
