#![no_main]
lightning_db_fuzz::bytes!("checkpoint_record");
