//! Classic BPF as seccomp understands it: instructions, verdicts and comparisons of arguments.

use crate::seccomp::{Action, ArgumentRule, Comparison};
use crate::sys::Instruction;

/// Offset of the call's number in what a filter sees (struct seccomp_data).
pub(super) const NUMBER: u32 = 0;
/// Offset of the architecture.
pub(super) const ARCH: u32 = 4;
/// Offset of the first argument; each takes eight bytes, the low half first on the architectures known here.
const ARGUMENTS: u32 = 16;

pub(super) const RET_KILL_PROCESS: u32 = 0x8000_0000;
pub(super) const RET_ERRNO: u32 = 0x0005_0000;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

pub(super) const fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, jt: 0, jf: 0, k: offset }
}

pub(super) const fn give(verdict: u32) -> Instruction {
    Instruction { code: RETURN, jt: 0, jf: 0, k: verdict }
}

pub(super) const fn jump(over: u32) -> Instruction {
    Instruction { code: JUMP, jt: 0, jf: 0, k: over }
}

/// Skips `jt` instructions when the value is at least `k`, otherwise `jf`.
pub(super) const fn jump_if_at_least(k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code: JUMP_GREATER_OR_EQUAL, jt, jf, k }
}

pub(super) const fn jump_if_equal(k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code: JUMP_EQUAL, jt, jf, k }
}

/// What a filter returns for an action.
pub(super) fn verdict(action: Action, errno: Option<u32>) -> u32 {
    let errno = errno.unwrap_or(libc::EPERM.unsigned_abs()) & 0xffff;
    match action {
        Action::Allow => 0x7fff_0000,
        Action::Errno => RET_ERRNO | errno,
        Action::KillThread => 0,
        Action::KillProcess => RET_KILL_PROCESS,
        Action::Trap => 0x0003_0000,
        Action::Log => 0x7ffc_0000,
        Action::Trace => 0x7ff0_0000 | errno,
    }
}

/// Where a step goes next.
#[derive(Clone, Copy)]
enum Goal {
    Next,
    Pass,
    Fail,
}

/// One step of a comparison: an instruction and, when it is a conditional jump, where it goes.
struct Step {
    instruction: Instruction,
    goals: Option<(Goal, Goal)>,
}

/// Code that falls through to its end when all conditions hold, and jumps `on_fail` instructions past its end when one
/// does not.
pub(super) fn conditions(rules: &[ArgumentRule], on_fail: usize) -> Vec<Instruction> {
    let blocks: Vec<Vec<Step>> = rules.iter().map(comparison).collect();
    let total: usize = blocks.iter().map(Vec::len).sum();
    let mut code = Vec::with_capacity(total);
    let mut block_end = 0;
    for block in blocks {
        block_end += block.len();
        for step in block {
            let after = code.len() + 1;
            // Six arguments of at most five instructions each: every distance fits the eight bits it has.
            let distance = |goal: Goal| match goal {
                Goal::Next => 0,
                Goal::Pass => (block_end - after) as u8,
                Goal::Fail => (total + on_fail - after) as u8,
            };
            let (jt, jf) = step.goals.map_or((0, 0), |(yes, no)| (distance(yes), distance(no)));
            code.push(Instruction { jt, jf, ..step.instruction });
        }
    }
    code
}

/// Compares one argument, half by half.
fn comparison(rule: &ArgumentRule) -> Vec<Step> {
    let (high, low) = halves(rule.value);
    match rule.op {
        Comparison::Equal => equal(rule.index, high, low, Goal::Pass, Goal::Fail),
        Comparison::NotEqual => equal(rule.index, high, low, Goal::Fail, Goal::Pass),
        Comparison::Greater => ordered(rule, JUMP_GREATER, Goal::Pass, Goal::Fail),
        Comparison::GreaterOrEqual => ordered(rule, JUMP_GREATER_OR_EQUAL, Goal::Pass, Goal::Fail),
        Comparison::Less => ordered(rule, JUMP_GREATER_OR_EQUAL, Goal::Fail, Goal::Pass),
        Comparison::LessOrEqual => ordered(rule, JUMP_GREATER, Goal::Fail, Goal::Pass),
        Comparison::MaskedEqual => {
            let (wanted_high, wanted_low) = halves(rule.value_two);
            let mut steps = equal(rule.index, wanted_high, wanted_low, Goal::Pass, Goal::Fail);
            steps.insert(1, plain(Instruction { code: AND, jt: 0, jf: 0, k: high }));
            steps.insert(4, plain(Instruction { code: AND, jt: 0, jf: 0, k: low }));
            steps
        }
    }
}

fn equal(index: u32, high: u32, low: u32, same: Goal, different: Goal) -> Vec<Step> {
    vec![
        plain(load_high(index)),
        test(JUMP_EQUAL, high, Goal::Next, different),
        plain(load_low(index)),
        test(JUMP_EQUAL, low, same, different),
    ]
}

/// `low_test` decides when the high halves are equal; greater high halves always mean `yes`.
fn ordered(rule: &ArgumentRule, low_test: u16, yes: Goal, no: Goal) -> Vec<Step> {
    let (high, low) = halves(rule.value);
    vec![
        plain(load_high(rule.index)),
        test(JUMP_GREATER, high, yes, Goal::Next),
        test(JUMP_EQUAL, high, Goal::Next, no),
        plain(load_low(rule.index)),
        test(low_test, low, yes, no),
    ]
}

fn plain(instruction: Instruction) -> Step {
    Step { instruction, goals: None }
}

fn test(code: u16, k: u32, yes: Goal, no: Goal) -> Step {
    Step { instruction: Instruction { code, jt: 0, jf: 0, k }, goals: Some((yes, no)) }
}

const fn load_low(index: u32) -> Instruction {
    load(ARGUMENTS + 8 * index)
}

const fn load_high(index: u32) -> Instruction {
    load(ARGUMENTS + 8 * index + 4)
}

const fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}
