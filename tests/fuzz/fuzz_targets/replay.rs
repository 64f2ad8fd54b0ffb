#![no_main]
lightning_db_fuzz::bytes!("replay");
