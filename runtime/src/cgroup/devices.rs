//! Which devices a container may use: the same list as text for v1 and as an eBPF program for v2.

use std::fmt;

/// A device, or a family of them, and what may be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeviceRule {
    /// `c`haracter, `b`lock or `a`ny.
    pub(crate) kind: char,
    /// `None` is every number.
    pub(crate) major: Option<u32>,
    pub(crate) minor: Option<u32>,
    /// Of `r`, `w` and `m` (mknod).
    pub(crate) access: &'static str,
}

impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
        write!(f, "{} {}:{} {}", self.kind, number(self.major), number(self.minor), self.access)
    }
}

const fn rule(kind: char, major: Option<u32>, minor: Option<u32>, access: &'static str) -> DeviceRule {
    DeviceRule { kind, major, minor, access }
}

/// Docker's: any node may be made, few may be opened (null, zero, full, random, urandom, tty, console, ptmx, pts, tun).
pub(crate) const DEVICE_RULES: &[DeviceRule] = &[
    rule('c', None, None, "m"),
    rule('b', None, None, "m"),
    rule('c', Some(1), Some(3), "rwm"),
    rule('c', Some(1), Some(5), "rwm"),
    rule('c', Some(1), Some(7), "rwm"),
    rule('c', Some(1), Some(8), "rwm"),
    rule('c', Some(1), Some(9), "rwm"),
    rule('c', Some(5), Some(0), "rwm"),
    rule('c', Some(5), Some(1), "rwm"),
    rule('c', Some(5), Some(2), "rwm"),
    rule('c', Some(136), None, "rwm"),
    rule('c', Some(10), Some(200), "rwm"),
];

/// The eBPF program for v2: allows what a rule allows wholly, refuses the rest.
pub(crate) fn program(rules: &[DeviceRule]) -> Vec<u64> {
    // r2 = kind (low half of access_type), r3 = access, r4 = major, r5 = minor
    let mut code = vec![
        insn(LOAD_WORD, 2, 1, 0, 0),
        insn(AND_IMMEDIATE, 2, 0, 0, 0xffff),
        insn(LOAD_WORD, 3, 1, 0, 0),
        insn(SHIFT_RIGHT_IMMEDIATE, 3, 0, 0, 16),
        insn(LOAD_WORD, 4, 1, 4, 0),
        insn(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules {
        code.extend(block(rule));
    }
    code.extend([insn(MOVE_IMMEDIATE, 0, 0, 0, 0), insn(EXIT, 0, 0, 0, 0)]);
    code
}

/// Returns 1 when the rule allows the access, falls through otherwise.
fn block(rule: &DeviceRule) -> Vec<u64> {
    let kind = match rule.kind {
        'b' => Some(1),
        'c' => Some(2),
        _ => None,
    };
    let access = rule.access.chars().fold(0, |bits, c| {
        bits | [('m', 1), ('r', 2), ('w', 4)].iter().find(|(k, _)| *k == c).map_or(0, |(_, bit)| *bit)
    });
    // Each test jumps past the block when it fails; the jump's distance is known once the tests are.
    let mut tests: Vec<(u8, u8, i32)> = Vec::new();
    if let Some(kind) = kind {
        tests.push((JUMP_NOT_EQUAL, 2, kind));
    }
    if access != 7 {
        // Any wanted bit outside the allowed ones.
        tests.push((JUMP_ANY_BIT, 3, 7 & !access));
    }
    for (register, number) in [(4, rule.major), (5, rule.minor)] {
        if let Some(number) = number {
            tests.push((JUMP_NOT_EQUAL, register, number.cast_signed()));
        }
    }
    let count = tests.len();
    let mut code: Vec<u64> = tests
        .into_iter()
        .enumerate()
        .map(|(n, (code, register, value))| insn(code, register, 0, (count - n + 1) as i16, value))
        .collect();
    code.extend([insn(MOVE_IMMEDIATE, 0, 0, 0, 1), insn(EXIT, 0, 0, 0, 0)]);
    code
}

/// One eBPF instruction (struct bpf_insn) as a little-endian word.
fn insn(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> u64 {
    u64::from(code)
        | u64::from(destination | source << 4) << 8
        | u64::from(offset.cast_unsigned()) << 16
        | u64::from(immediate.cast_unsigned()) << 32
}

const LOAD_WORD: u8 = 0x61;
const AND_IMMEDIATE: u8 = 0x54;
const SHIFT_RIGHT_IMMEDIATE: u8 = 0x74;
const MOVE_IMMEDIATE: u8 = 0xb7;
const JUMP_NOT_EQUAL: u8 = 0x55;
const JUMP_ANY_BIT: u8 = 0x45;
const EXIT: u8 = 0x95;

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the few instructions that `program` uses.
    fn allowed(code: &[u64], kind: u64, access: u64, major: u64, minor: u64) -> bool {
        let mut registers = [0u64; 11];
        let context = [kind | access << 16, major, minor];
        let mut at = 0;
        loop {
            let word = code[at];
            let (destination, offset) = ((word >> 8 & 0xf) as usize, (word >> 16) as u16 as i16);
            let immediate = u64::from((word >> 32) as u32);
            at += 1;
            let jump = |taken: bool| if taken { (at as i64 + i64::from(offset)) as usize } else { at };
            match word as u8 {
                LOAD_WORD => registers[destination] = context[offset as usize / 4],
                AND_IMMEDIATE => registers[destination] &= immediate,
                SHIFT_RIGHT_IMMEDIATE => registers[destination] >>= immediate,
                MOVE_IMMEDIATE => registers[destination] = immediate,
                JUMP_NOT_EQUAL => at = jump(registers[destination] != immediate),
                JUMP_ANY_BIT => at = jump(registers[destination] & immediate != 0),
                EXIT => return registers[0] == 1,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn the_program_says_what_the_rules_say() {
        let code = program(DEVICE_RULES);
        const BLOCK: u64 = 1;
        const CHAR: u64 = 2;
        const MKNOD: u64 = 1;
        const READ: u64 = 2;
        const WRITE: u64 = 4;
        assert!(allowed(&code, BLOCK, MKNOD, 8, 0), "mknod of a disk");
        assert!(!allowed(&code, BLOCK, READ, 8, 0), "reading a disk");
        assert!(!allowed(&code, BLOCK, MKNOD | READ, 8, 0));
        assert!(allowed(&code, CHAR, READ | WRITE, 1, 3), "/dev/null");
        assert!(!allowed(&code, CHAR, READ, 1, 1), "/dev/mem");
        assert!(allowed(&code, CHAR, READ | WRITE, 136, 77), "a terminal");
        assert!(!allowed(&code, CHAR, WRITE, 5, 3));
    }

    #[test]
    fn rules_print_as_v1_wants_them() {
        let text: Vec<String> = DEVICE_RULES.iter().map(ToString::to_string).collect();
        assert_eq!(text[0], "c *:* m");
        assert_eq!(text[2], "c 1:3 rwm");
        assert_eq!(text[10], "c 136:* rwm");
    }
}
