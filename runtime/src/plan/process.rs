//! The plan of one process: the container's first one, or one that joins it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;
use crate::failure::Failure;
use crate::limits::GROUPS_MAX;
use crate::spec::{ExecSpec, ProcessSpec, Rlimit};
use crate::sys::Instruction;

/// What the executor makes of itself once it stands in the container. Users and groups are still names: only the
/// container's own files can say who they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProcessPlan {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) user: String,
    pub(crate) additional_groups: Vec<String>,
    pub(crate) capabilities: Capabilities,
    pub(crate) no_new_privileges: bool,
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) oom_score_adj: i32,
    pub(crate) terminal: bool,
    /// Rows and columns.
    pub(crate) terminal_size: Option<(u16, u16)>,
    /// The filter, one word an instruction; `None` is unconfined.
    pub(crate) seccomp: Option<Vec<u64>>,
}

/// What joins a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExecPlan {
    /// Its directories, one for each tree.
    pub(crate) cgroup: crate::cgroup::Location,
    pub(crate) process: ProcessPlan,
}

/// Plans the container's first process.
pub(super) fn plan_process(process: &ProcessSpec, seccomp: Option<Vec<u64>>) -> Result<ProcessPlan, Failure> {
    let plan = ProcessPlan {
        args: process.args.clone(),
        env: process.env.clone(),
        cwd: process.cwd.clone(),
        user: process.user.clone(),
        additional_groups: process.additional_groups.clone(),
        capabilities: process.capabilities,
        no_new_privileges: process.no_new_privileges,
        rlimits: process.rlimits.clone(),
        oom_score_adj: process.oom_score_adj.unwrap_or(0),
        terminal: process.terminal,
        terminal_size: None,
        seccomp,
    };
    check("process", &plan)?;
    Ok(plan)
}

impl ProcessPlan {
    /// Plans a process that joins this one's container.
    ///
    /// # Errors
    /// With the first field that cannot be.
    pub(crate) fn joined_by(self, exec: &ExecSpec) -> Result<Self, Failure> {
        let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
        let given: Vec<String> = exec.env.iter().map(|pair| name(pair)).collect();
        let mut env: Vec<String> = self.env.into_iter().filter(|pair| !given.contains(&name(pair))).collect();
        env.extend(exec.env.iter().cloned());
        let plan = Self {
            args: exec.args.clone(),
            env,
            cwd: exec.cwd.clone().unwrap_or(self.cwd),
            user: exec.user.clone().unwrap_or(self.user),
            capabilities: exec.capabilities.unwrap_or(self.capabilities),
            terminal: exec.terminal,
            terminal_size: exec.terminal_size,
            ..self
        };
        check("exec", &plan)?;
        Ok(plan)
    }
}

fn check(prefix: &str, plan: &ProcessPlan) -> Result<(), Failure> {
    let refuse = |field: &str, value: &str, remedy: &str| {
        Err(Failure::Invalid { field: format!("{prefix}.{field}"), value: value.to_owned(), remedy: remedy.to_owned() })
    };
    if plan.args.first().is_none_or(String::is_empty) {
        return refuse("args", "", "name a command");
    }
    if let Some(argument) = plan.args.iter().find(|argument| argument.contains('\0')) {
        return refuse("args", argument, "an argument cannot hold a zero byte");
    }
    let odd = |pair: &&String| pair.contains('\0') || pair.split_once('=').is_none_or(|(name, _)| name.is_empty());
    if let Some(pair) = plan.env.iter().find(odd) {
        return refuse("env", pair, "write NAME=value");
    }
    if !plan.cwd.starts_with('/') || plan.cwd.contains('\0') {
        return refuse("cwd", &plan.cwd, "give an absolute path in the container");
    }
    if plan.additional_groups.len() > GROUPS_MAX {
        return refuse("additional_groups", &plan.additional_groups.len().to_string(), "give at most 65536 groups");
    }
    if let Some(limit) = plan.rlimits.iter().find(|limit| limit.soft > limit.hard) {
        return refuse(
            "rlimits",
            &format!("{}={}:{}", limit.kind, limit.soft, limit.hard),
            "the soft limit cannot exceed the hard one",
        );
    }
    if !(-1000..=1000).contains(&plan.oom_score_adj) {
        return refuse("oom_score_adj", &plan.oom_score_adj.to_string(), "give -1000 to 1000");
    }
    Ok(())
}

impl fmt::Display for ProcessPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for limit in &self.rlimits {
            writeln!(f, "rlimit {} {}:{}", limit.kind, limit.soft, limit.hard)?;
        }
        writeln!(f, "oom_score_adj {}", self.oom_score_adj)?;
        writeln!(f, "user {:?} and groups {:?}", self.user, self.additional_groups)?;
        writeln!(f, "capabilities {:#x}", self.capabilities.bounding.bits())?;
        if self.no_new_privileges {
            writeln!(f, "no new privileges")?;
        }
        match &self.seccomp {
            Some(program) => writeln!(f, "seccomp, {} instructions", program.len())?,
            None => writeln!(f, "seccomp unconfined")?,
        }
        writeln!(
            f,
            "{} {:?} in {}",
            if self.terminal { "execute with a terminal" } else { "execute" },
            self.args,
            self.cwd
        )
    }
}

impl Instruction {
    /// As one number, for messages.
    pub(crate) fn to_word(self) -> u64 {
        u64::from(self.code) | u64::from(self.jt) << 16 | u64::from(self.jf) << 24 | u64::from(self.k) << 32
    }

    /// The reverse of `to_word`.
    pub(crate) fn from_word(word: u64) -> Self {
        Self { code: word as u16, jt: (word >> 16) as u8, jf: (word >> 24) as u8, k: (word >> 32) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_survives_its_word() {
        let instruction = Instruction { code: 0x35, jt: 3, jf: 250, k: 0xdead_beef };
        assert_eq!(Instruction::from_word(instruction.to_word()), instruction);
    }

    #[test]
    fn exec_takes_the_containers_settings_unless_told() {
        let mut process = ProcessSpec::new(vec!["sh".into()]);
        process.env = vec!["A=1".into(), "B=2".into()];
        process.user = "web".into();
        process.cwd = "/srv".into();
        let plan = plan_process(&process, None).unwrap();
        let mut exec = ExecSpec::new(vec!["id".into()]);
        exec.env = vec!["B=3".into(), "C=4".into()];
        let joined = plan.clone().joined_by(&exec).unwrap();
        assert_eq!(
            (joined.env, joined.user, joined.cwd),
            (vec!["A=1".into(), "B=3".into(), "C=4".into()], "web".into(), "/srv".into())
        );
        exec.user = Some("0".into());
        exec.args.clear();
        assert!(plan.joined_by(&exec).is_err());
    }
}
