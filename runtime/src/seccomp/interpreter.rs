//! Runs a filter as the kernel would, for tests.

use crate::sys::Instruction;

/// One system call.
pub(super) struct Call {
    pub(super) arch: u32,
    pub(super) number: u32,
    pub(super) arguments: [u64; 6],
}

/// What the program returns. Panics on what the kernel's checker would refuse.
pub(super) fn evaluate(program: &[Instruction], call: &Call) -> u32 {
    let mut data = Vec::new();
    data.extend_from_slice(&call.number.to_le_bytes());
    data.extend_from_slice(&call.arch.to_le_bytes());
    data.extend_from_slice(&[0; 8]);
    for argument in call.arguments {
        data.extend_from_slice(&argument.to_le_bytes());
    }
    let (mut at, mut value) = (0, 0u32);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let branch = |yes: bool| at + usize::from(if yes { jt } else { jf });
        at = match code {
            0x20 => {
                let offset = k as usize;
                assert_eq!(offset % 4, 0, "an unaligned load");
                value = u32::from_le_bytes(data[offset..offset + 4].try_into().unwrap());
                at
            }
            0x54 => {
                value &= k;
                at
            }
            0x05 => at + k as usize,
            0x15 => branch(value == k),
            0x25 => branch(value > k),
            0x35 => branch(value >= k),
            0x06 => return k,
            other => panic!("unknown instruction {other:#x}"),
        };
    }
}
