//! The front door: parse the verb, run it, exit code.

use clap::{Parser, Subcommand};
use sol_volume_bot::cli::{check, control, decode, demo, explain, guard, record, replay, run, sim, status};
use std::process::ExitCode;

/// Live execution engine: buys SOL when memecoin volume falls, guards it, takes profit twice, gets out at the stop.
#[derive(Debug, Parser)]
#[command(name = "sol_volume_bot", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Example: sol_volume_bot demo --for 90s\n\
    Without a verb: `run`.\n\
    Exit codes: 0 done; 1 failed while running; 2 bad usage or config; 3 credentials refused; \
    4 venue unreachable at start; 5 verification found a difference")]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Trade, on paper or live (the default verb)
    Run(run::RunArgs),
    /// The whole engine against built-in venues: no keys, no network
    Demo(demo::DemoArgs),
    /// The built-in venues alone, for clients of any kind
    Sim(sim::SimOptions),
    /// Look at config, `.env`, host and venue without trading
    Check(check::CheckArgs),
    /// Turn recorded raw frames into events
    Decode(decode::DecodeArgs),
    /// Write down what the market feeds deliver, raw: no keys, no orders
    Record(record::RecordArgs),
    /// Make the engine's runs again from the journal, or the market's events from a recording
    Replay(replay::ReplayArgs),
    /// Why a trade, why none, what became of an order
    Explain(explain::ExplainArgs),
    /// Look after the orders of an engine that is frozen or dead
    Guard(guard::GuardArgs),
    /// What a running engine does
    Status(status::StatusArgs),
    /// Tell a running engine to enter no more until `resume`
    #[command(after_help = "Example: sol_volume_bot pause --data-dir data")]
    Pause(control::ControlArgs),
    /// Tell a running engine to enter again
    #[command(after_help = "Example: sol_volume_bot resume --data-dir data")]
    Resume(control::ControlArgs),
    /// Tell a running engine to pause and sell its position
    #[command(after_help = "Example: sol_volume_bot flatten --data-dir data")]
    Flatten(control::ControlArgs),
    /// Cancel everything at once, sell the position, never enter again in this run (SIGUSR1 does the same)
    #[command(after_help = "Example: sol_volume_bot kill --data-dir data")]
    Kill(control::ControlArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.verb.unwrap_or(Verb::Run(cli.run)) {
        Verb::Run(args) => run::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Sim(args) => sim::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Decode(args) => decode::run(&args),
        Verb::Record(args) => record::run(&args),
        Verb::Replay(args) => replay::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Guard(args) => guard::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Pause(args) => control::run("pause", &args),
        Verb::Resume(args) => control::run("resume", &args),
        Verb::Flatten(args) => control::run("flatten", &args),
        Verb::Kill(args) => control::run("kill", &args),
    }
}
