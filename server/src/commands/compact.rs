use crate::database::DatabaseArgs;
use crate::failure::Outcome;
use crate::output::Output;
use clap::Args;
/// x
#[derive(Args, Debug)]
pub struct Compact {
    #[command(flatten)]
    database: DatabaseArgs,
}
impl Compact {
    pub fn run(self, _: &mut Output) -> Outcome {
        _ = self.database;
        Ok(())
    }
}
