//! Runs worlds by their seeds: `--seed N [--trace]`, or `--seeds A..B`; `--quiet` for worlds without faults. Exit status
//! 1: an invariant was violated.

use std::ops::Range;
use std::process::ExitCode;

use shoal_sim::fleet::{run_seed, run_seeds};
use shoal_sim::{Mood, WorldConfig};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let order = match Order::parse(&arguments) {
        Ok(order) => order,
        Err(text) => {
            eprintln!("{text}\nusage: shoal-sim --seed N [--trace] [--quiet] | --seeds A..B [--quiet]");
            return ExitCode::from(2);
        }
    };
    let mut failed = Vec::new();
    if order.seeds.end == order.seeds.start + 1 {
        let ending = run_seed(WorldConfig { seed: order.seeds.start, mood: order.mood, trace: order.trace });
        println!("{ending}");
        failed.extend(ending.violation);
    } else {
        let endings = run_seeds(order.seeds, order.mood, |ending| println!("{ending}"));
        println!("{} seeds failed", endings.len());
        failed.extend(endings.into_iter().filter_map(|ending| ending.violation));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Order {
    seeds: Range<u64>,
    mood: Mood,
    trace: bool,
}

impl Order {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut order = Self { seeds: 0..0, mood: Mood::Rough, trace: false };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--seed" => {
                    let seed = number(value()?)?;
                    order.seeds = seed..seed + 1;
                }
                "--seeds" => {
                    let range = value()?;
                    let (from, to) =
                        range.split_once("..").ok_or(format!("'{range}' is no range: A..B is expected"))?;
                    order.seeds = number(from)?..number(to)?;
                }
                "--trace" => order.trace = true,
                "--quiet" => order.mood = Mood::Quiet,
                other => return Err(format!("'{other}' is not known")),
            }
        }
        if order.seeds.is_empty() { Err("no seed is given".to_owned()) } else { Ok(order) }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("'{text}' is no seed: a number is expected"))
}
