//! `crash`: processes that use a database are killed with SIGKILL at random moments, and what they leave is held against
//! what was acknowledged to them.
//!
//! What was acknowledged is kept where a kill cannot lose it ([`ledger`]); what each commit writes follows from a seed
//! ([`plan`]); so the parent knows what must be there ([`history`], [`model`]). A child tells all its database holds before
//! it goes on from there ([`child`], [`message`]), and what it is doing when it is killed ([`phase`]).

#[cfg(unix)]
mod arguments;
#[cfg(unix)]
mod campaign;
#[cfg(unix)]
mod child;
#[cfg(unix)]
mod commit;
#[cfg(unix)]
mod documents;
#[cfg(unix)]
mod history;
#[cfg(unix)]
mod import;
#[cfg(unix)]
mod ledger;
#[cfg(unix)]
mod life;
#[cfg(unix)]
mod message;
#[cfg(unix)]
mod model;
#[cfg(unix)]
mod phase;
#[cfg(unix)]
mod plan;
#[cfg(target_os = "linux")]
mod power;
#[cfg(unix)]
mod queue;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod scenario;
#[cfg(unix)]
mod sigkill;

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments::Command::Child(arguments)) => {
            child::run(&arguments);
            ExitCode::SUCCESS
        }
        Ok(arguments::Command::Kill(arguments)) => sigkill::run(&arguments),
        #[cfg(target_os = "linux")]
        Ok(arguments::Command::Cut(arguments)) => power::run(&arguments),
        #[cfg(not(target_os = "linux"))]
        Ok(arguments::Command::Cut(_)) => {
            println!("left out: power loss is made on Linux only");
            ExitCode::SUCCESS
        }
        Ok(arguments::Command::Help) => {
            println!("{}", arguments::USAGE);
            ExitCode::SUCCESS
        }
        Ok(arguments::Command::List) => {
            scenario::SCENARIOS.iter().for_each(|scenario| println!("{:<14} {}", scenario.name, scenario.about));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\n{}", arguments::USAGE);
            ExitCode::from(2)
        }
    }
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    println!("left out: processes are killed on Unix only");
    ExitCode::SUCCESS
}
