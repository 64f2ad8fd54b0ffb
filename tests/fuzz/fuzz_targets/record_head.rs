#![no_main]
lightning_db_fuzz::bytes!("record_head");
